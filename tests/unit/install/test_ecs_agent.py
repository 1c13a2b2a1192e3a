"""The running agent as /proc shows it, what a restart comes to, and a Docker that is there and refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import pytest

from eni_ledger.base.errors import InstallError
from eni_ledger.install import ecs_uninstall, trial_docker
from eni_ledger.install.bundle import Bundle
from eni_ledger.install.ecs_agent import Agent
from eni_ledger.install.layout import PLUGIN_PATH
from eni_ledger.install.service import InstallReport, install_ecs
from eni_ledger.install.tree import Tree
from eni_ledger.install.trial import Unprovable
from helpers.proc import make_process
from helpers.roots import make_bundle, make_host, no_docker, picture


class Host:
    """A /proc of one's own and a systemd that does what it is told to."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        self.active = True
        self.status = 0
        self.after_restart: str | None = PLUGIN_PATH
        self.asked: list[tuple[str, ...]] = []
        self.root = proc.parent / "host/var/lib/ecs"  # of the agent's container: /data is the host's data directory
        (self.root / "data").mkdir(parents=True, exist_ok=True)
        self.process(1, "systemd", {"HOME": "/"})

    def process(self, pid: int, name: str, env: dict[str, str], **more: Any) -> Path:
        return make_process(self.proc, pid, name, env, **{"root": self.root, **more})

    def agent_with(self, path: str | None) -> Path:
        more = {} if path is None else {"ECS_CNI_PLUGINS_PATH": path}
        return self.process(4711, "agent", {"ECS_DATADIR": "/data", **more})

    def run(self, command: Sequence[str]) -> int:
        self.asked.append(tuple(command))
        if "is-active" in command:
            return 0 if self.active else 3
        self.agent_with(self.after_restart)
        return self.status

    def agent(self) -> Agent:
        return Agent(str(self.proc), self.run, data=str(self.root / "data"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "proc")


class TestSeen:
    def test_no_agent(self, host: Host) -> None:
        assert host.agent().is_effective(PLUGIN_PATH) is None
        assert host.agent().using(PLUGIN_PATH) == []
        assert host.agent().plugins("/amazon-ecs-cni-plugins") is None

    @pytest.mark.parametrize(("path", "is_effective"), [(None, False), ("/other", False), (PLUGIN_PATH, True)])
    def test_an_agent(self, host: Host, path: str | None, is_effective: bool) -> None:
        host.agent_with(path)
        assert host.agent().is_effective(PLUGIN_PATH) is is_effective
        assert [one.pid for one in host.agent().using(PLUGIN_PATH)] == ([4711] if is_effective else [])

    def test_another_program_of_that_name_is_not_it(self, host: Host) -> None:
        host.process(99, "agent", {"SSH_AUTH_SOCK": "/x"})
        assert host.agent().is_effective(PLUGIN_PATH) is None

    def test_the_path_is_compared_as_a_path(self, host: Host) -> None:
        host.agent_with("/data//eni-ledger/./plugins/")
        assert host.agent().is_effective(PLUGIN_PATH) is True

    def test_an_agent_with_other_data_is_another_one(self, host: Host, tmp_path: Path) -> None:
        (tmp_path / "other/data").mkdir(parents=True)
        env = {"ECS_DATADIR": "/data", "ECS_CNI_PLUGINS_PATH": PLUGIN_PATH}
        host.process(99, "agent", env, root=tmp_path / "other")
        assert host.agent().is_effective(PLUGIN_PATH) is None
        assert host.agent().using(PLUGIN_PATH) == []
        assert [one.pid for one in host.agent().others()] == [99]

    def test_links_of_its_image_are_followed_in_its_image(self, host: Host, tmp_path: Path) -> None:
        (tmp_path / "secret").mkdir()
        (tmp_path / "secret/ecs-new").write_text("")
        host.agent_with(None)
        (host.root / "amazon-ecs-cni-plugins").symlink_to(tmp_path / "secret")
        assert host.agent().plugins("/amazon-ecs-cni-plugins") == []

    def test_a_process_number_that_is_used_again(self, host: Host) -> None:
        host.agent_with(PLUGIN_PATH)
        (seen,) = host.agent().ours()
        host.process(4711, "agent", {"ECS_DATADIR": "/data"}, start=7000)
        with pytest.raises(FileNotFoundError), host.agent().root_of(seen):
            pass

    def test_a_plugin_at_work_counts_as_use(self, host: Host) -> None:
        host.process(99, "vpc-branch-eni", {"ECS_DATADIR": "/data", "ECS_CNI_PLUGINS_PATH": PLUGIN_PATH})
        assert [one.name for one in host.agent().using(PLUGIN_PATH)] == ["vpc-branch-eni"]

    def test_processes_that_end_while_we_look_are_no_trouble(self, host: Host) -> None:
        (host.proc / "77").mkdir()
        assert host.agent().processes() == []
        assert not host.agent().hidden

    def test_the_plugins_of_its_image(self, host: Host) -> None:
        plugins = host.agent_with(None) / "root/amazon-ecs-cni-plugins"
        assert host.agent().plugins("/amazon-ecs-cni-plugins") == []
        plugins.mkdir(parents=True)
        for name in ("vpc-branch-eni", "ecs-new"):
            (plugins / name).write_text("")
        assert host.agent().plugins("/amazon-ecs-cni-plugins") == ["ecs-new", "vpc-branch-eni"]


class OnHost(Tree):
    """A tree that counts as the running system."""

    @property
    def is_host(self) -> bool:
        return True


class TestInstalling:
    @pytest.fixture
    def root(self, host: Host, tmp_path: Path) -> Path:
        (host.root / "data").rmdir()
        host.root.rmdir()
        return make_host(tmp_path / "host")

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Bundle:
        return Bundle(str(make_bundle(tmp_path / "bundle")))

    def install(self, root: Path, bundle: Bundle, host: Host, *, restart: bool = True) -> InstallReport:
        report = InstallReport(dry_run=False)
        tree = OnHost(str(root))
        install_ecs(tree, bundle, host.agent(), no_docker(root), report, prove=False, restart=restart)
        return report

    def test_a_plugin_that_only_the_running_agent_knows_gets_its_link(
        self, host: Host, root: Path, bundle: Bundle
    ) -> None:
        plugins = host.agent_with(None) / "root/amazon-ecs-cni-plugins"
        plugins.mkdir(parents=True)
        for name in ("vpc-branch-eni", "ecs-new", ".hidden", "a b"):
            (plugins / name).write_text("")
        report = self.install(root, bundle, host)
        base = root / "var/lib/ecs/data/eni-ledger/plugins"
        assert str((base / "ecs-new").readlink()) == "/amazon-ecs-cni-plugins/ecs-new"
        assert not (base / ".hidden").is_symlink()
        assert not (base / "a b").is_symlink()
        assert any("no /amazon-ecs-cni-plugins/vpc-eni" in note for note in report.notes)

    def test_the_restart_is_asked_for_once_and_only_when_it_is_needed(
        self, host: Host, root: Path, bundle: Bundle
    ) -> None:
        host.agent_with(None)
        assert self.install(root, bundle, host, restart=False).effective == "systemctl restart ecs"
        assert host.asked == []
        report = self.install(root, bundle, host)
        assert (report.restarted, report.effective) == (True, None)
        assert host.asked[-1] == ("systemctl", "restart", "ecs")
        count = len(host.asked)
        report = self.install(root, bundle, host)
        assert (report.restarted, report.effective, len(host.asked)) == (None, None, count)

    def test_an_agent_that_is_not_active_is_not_started(self, host: Host, root: Path, bundle: Bundle) -> None:
        host.active = False
        report = self.install(root, bundle, host)
        assert report.restarted is False
        assert ("systemctl", "restart", "ecs") not in host.asked

    def test_a_restart_that_fails(self, host: Host, root: Path, bundle: Bundle) -> None:
        host.status = 1
        with pytest.raises(InstallError, match="did not restart"):
            self.install(root, bundle, host)

    def test_files_stay_while_the_agent_uses_them(self, host: Host, root: Path) -> None:
        host.agent_with(PLUGIN_PATH)
        with pytest.raises(InstallError, match=r"still calls eni-ledger.*agent \(PID 4711\)"):
            ecs_uninstall.check_unused(OnHost(str(root)), host.agent())
        ecs_uninstall.check_unused(Tree(str(root)), host.agent())  # an image has no running agent

    def test_an_agent_that_would_find_no_plugin_is_a_reason_not_to_install(
        self, host: Host, root: Path, bundle: Bundle, tmp_path: Path
    ) -> None:
        before = picture(root)
        (tmp_path / "other/data").mkdir(parents=True)
        host.process(99, "agent", {"ECS_DATADIR": "/data"}, root=tmp_path / "other")
        with pytest.raises(InstallError, match=r"after a restart it would find no plugin: agent \(PID 99\)"):
            self.install(root, bundle, host)
        host.process(99, "amazon-ecs-agen", {"ECS_DATADIR": "/var/lib/ecs/data"}, root=Path("/"))
        with pytest.raises(InstallError, match="outside of a container"):
            self.install(root, bundle, host)
        assert picture(root) == before
        assert host.asked == []

    @pytest.mark.parametrize(
        ("path", "content", "match"),
        [
            ("etc/os-release", "ID=bottlerocket\n", "on Bottlerocket"),
            ("usr/local/bin/vpc-branch-eni", "", "KEY does not apply here"),
        ],
    )
    def test_hosts_whose_agent_takes_no_other_plugins(
        self, host: Host, root: Path, bundle: Bundle, path: str, content: str, match: str
    ) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
        before = picture(root)
        with pytest.raises(InstallError, match=match.replace("KEY", "ECS_CNI_PLUGINS_PATH")):
            self.install(root, bundle, host)
        assert picture(root) == before
        host.agent_with(None)  # which runs in a container, so it reads the setting
        self.install(root, bundle, host)


class Refusing(BaseHTTPRequestHandler):
    """A Docker that tells its version and makes nothing."""

    def do_GET(self) -> None:
        self.answer(
            *((200, {"ApiVersion": "1.44"}) if self.path == "/version" else (404, {"message": "no such image"}))
        )

    def do_POST(self) -> None:
        assert self.path.startswith("/v1.44/")
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.answer(500, {"message": "no space left on device"})

    def answer(self, status: int, body: dict[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


class TestDockerThatRefuses:
    @pytest.fixture
    def docker(self, tmp_path: Path) -> Iterator[trial_docker.DockerEngine]:
        path = str(tmp_path / "docker.sock")
        with UnixStreamServer(path, Refusing) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield trial_docker.DockerEngine(path)
            server.shutdown()
            thread.join()

    def test_it_says_nothing_about_the_bundle(self, docker: trial_docker.DockerEngine) -> None:
        assert docker.answers()
        with pytest.raises(Unprovable, match="no space left on device"):
            trial_docker.prove_in_container(docker, "/nowhere")

    def test_a_docker_that_is_not_there_does_not_answer(self, tmp_path: Path) -> None:
        assert not trial_docker.DockerEngine(str(tmp_path / "none.sock")).answers()
        (tmp_path / "file").write_text("")
        assert not trial_docker.DockerEngine(str(tmp_path / "file")).answers()
