"""`install ecs` and `uninstall ecs` on trees of hosts: what is there afterwards, what was there before, and crashes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from eni_ledger.base.errors import InstallError, UsageError
from eni_ledger.install import layout
from eni_ledger.install.bundle import Bundle
from eni_ledger.install.env_file import effective
from eni_ledger.install.service import InstallReport, install_ecs, uninstall_ecs
from eni_ledger.install.tree import Tree
from helpers.roots import ECS_CONFIG, Nobody, killed_at, make_bundle, make_host, no_docker, picture

BASE = "var/lib/ecs/data/eni-ledger"
OURS = "/data/eni-ledger/plugins"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle(str(make_bundle(tmp_path_factory.mktemp("bundle") / "b")))


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle(str(make_bundle(tmp_path_factory.mktemp("later") / "b", "10.0.0")))


@pytest.fixture
def host(tmp_path: Path) -> Path:
    return make_host(tmp_path / "host")


def install(root: Path, bundle: Bundle, *, tree: Tree | None = None, dry_run: bool = False) -> InstallReport:
    report = InstallReport(dry_run=dry_run)
    install_ecs(tree or Tree(str(root)), bundle, Nobody(root), no_docker(root), report, prove=False)
    return report


def uninstall(root: Path, *, tree: Tree | None = None, dry_run: bool = False, purge: bool = False) -> InstallReport:
    report = InstallReport(dry_run=dry_run)
    uninstall_ecs(tree or Tree(str(root)), Nobody(root), report, purge=purge)
    return report


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def target(link: Path) -> str:
    return str(link.readlink())


def config(root: Path) -> bytes:
    return (root / "etc/ecs/ecs.config").read_bytes()


class TestInstalled:
    def test_the_layout(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        base = host / BASE
        assert names(base) == ["bundle", "config.json", "installed.json", "plugins", "state", "versions"]
        assert bundle.name.startswith("9.9.9-")
        assert target(base / "bundle") == f"versions/{bundle.name}"
        assert target(base / "plugins/vpc-branch-eni") == "../bundle/eni-ledger"
        assert target(base / "plugins/vpc-eni") == "../bundle/eni-ledger"
        for name in ("ecs-bridge", "ecs-ipam", "aws-appmesh", "ecs-serviceconnect"):
            assert target(base / "plugins" / name) == f"/amazon-ecs-cni-plugins/{name}"
        done = subprocess.run([base / "plugins/vpc-branch-eni"], capture_output=True, text=True, check=True)
        assert done.stdout == "eni-ledger 9.9.9\n"
        assert (base / "state").stat().st_mode & 0o777 == 0o750
        assert json.loads((base / "config.json").read_text()) == {
            "stateDir": "/data/eni-ledger/state",
            "delegateDir": "/amazon-ecs-cni-plugins",
            "agentDb": "/data/agent.db",
        }
        assert json.loads((host / "etc/eni-ledger/config.json").read_text()) == {
            "stateDir": "/var/lib/ecs/data/eni-ledger/state",
            "agentDb": "/var/lib/ecs/data/agent.db",
        }
        assert config(host) == ECS_CONFIG + f"ECS_CNI_PLUGINS_PATH={OURS}\n".encode()
        assert (host / "etc/ecs/ecs.config").stat().st_mode & 0o777 == 0o640

    def test_the_command_is_found_where_shells_look(self, host: Path, bundle: Bundle) -> None:
        (host / "usr/local/bin").mkdir(parents=True)
        before = picture(host, times=False)
        report = install(host, bundle)
        assert target(host / "usr/local/bin/eni-ledger") == f"/{BASE}/bundle/eni-ledger"
        assert report.steps[-1].path == layout.ECS_CONFIG
        assert install(host, bundle).steps == []
        uninstall(host)
        assert picture(host, times=False) == before

    def test_a_command_of_somebody_else_stays(self, host: Path, bundle: Bundle) -> None:
        theirs = host / "usr/local/bin/eni-ledger"
        theirs.parent.mkdir(parents=True)
        theirs.write_text("pip's")
        assert any("not a link of eni-ledger" in note for note in install(host, bundle).notes)
        uninstall(host)
        assert theirs.read_text() == "pip's"

    def test_once_more_changes_nothing(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        before = picture(host)
        report = install(host, bundle)
        assert report.steps == []
        assert picture(host) == before

    def test_a_dry_run_says_what_is_done_and_does_nothing(self, host: Path, bundle: Bundle) -> None:
        before = picture(host)
        planned = install(host, bundle, dry_run=True)
        assert picture(host) == before
        done = install(host, bundle)
        assert planned.document()["steps"] == done.document()["steps"]
        before = picture(host)
        planned = uninstall(host, dry_run=True)
        assert picture(host) == before
        assert planned.document()["steps"] == uninstall(host).document()["steps"]

    def test_the_agents_setting_comes_when_everything_it_names_is_there(self, host: Path, bundle: Bundle) -> None:
        paths = [step.path for step in install(host, bundle).steps]
        assert paths[-1] == layout.ECS_CONFIG
        assert uninstall(host).steps[0].path == layout.ECS_CONFIG

    def test_an_upgrade_keeps_the_version_before_it_and_no_older_one(
        self, host: Path, bundle: Bundle, later: Bundle, tmp_path: Path
    ) -> None:
        third = Bundle(str(make_bundle(tmp_path / "third", "11.0.0")))
        for one in (bundle, later, third):
            install(host, one)
        assert names(host / BASE / "versions") == sorted([later.name, third.name])
        assert target(host / BASE / "bundle") == f"versions/{third.name}"
        install(host, bundle)  # and back
        assert names(host / BASE / "versions") == sorted([third.name, bundle.name])

    def test_what_the_operator_changed_stays(self, host: Path, bundle: Bundle, later: Bundle) -> None:
        install(host, bundle)
        path = host / BASE / "config.json"
        path.write_text('{"stateDir": "/data/mine", "retainDays": 7}')
        report = install(host, later)
        assert json.loads(path.read_text()) == {
            "stateDir": "/data/mine",
            "retainDays": 7,
            "delegateDir": "/amazon-ecs-cni-plugins",
            "agentDb": "/data/agent.db",
        }
        assert any("/data/mine" in note for note in report.notes)
        report = uninstall(host)
        assert path.exists()
        assert any("changed by hand" in note for note in report.notes)
        uninstall(host, purge=True)
        assert not (host / BASE).exists()

    def test_the_bundles_name_is_that_of_its_content(self, bundle: Bundle, tmp_path: Path) -> None:
        copy = shutil.copytree(bundle.directory, tmp_path / "copy", symlinks=True)
        assert Bundle(str(copy)).name == bundle.name
        (copy / "_internal/libpython.so").write_bytes(b"other")
        assert Bundle(str(copy)).name != bundle.name


class TestTheOperatorsOwnPlugins:
    @pytest.mark.parametrize("place", ["etc/ecs/ecs.config", "var/lib/ecs/ecs.config"])
    def test_they_become_the_delegates(self, host: Path, bundle: Bundle, place: str) -> None:
        with (host / place).open("a") as file:
            file.write("ECS_CNI_PLUGINS_PATH=/data/my-plugins/\n")
        before = picture(host)
        report = install(host, bundle)
        assert json.loads((host / BASE / "config.json").read_text())["delegateDir"] == "/data/my-plugins"
        assert target(host / BASE / "plugins/ecs-bridge") == "/data/my-plugins/ecs-bridge"
        assert effective(config(host), layout.KEY) == OURS
        assert any("/data/my-plugins" in note for note in report.notes)
        (host / BASE / "config.json").unlink()
        install(host, bundle)
        assert json.loads((host / BASE / "config.json").read_text())["delegateDir"] == "/data/my-plugins"
        uninstall(host)
        assert picture(host) == before

    @pytest.mark.parametrize("value", ["plugins", '"/opt/x"', " /opt/x", "$HOME/x"])
    def test_what_is_no_absolute_path_is_refused(self, host: Path, bundle: Bundle, value: str) -> None:
        (host / "etc/ecs/ecs.config").write_text(f"ECS_CNI_PLUGINS_PATH={value}\n")
        before = picture(host)
        with pytest.raises(InstallError, match="no absolute path") as caught:
            install(host, bundle)
        assert "as it stands" in caught.value.hint
        assert picture(host) == before

    def test_an_empty_one_is_none(self, host: Path, bundle: Bundle) -> None:
        (host / "etc/ecs/ecs.config").write_text("ECS_CNI_PLUGINS_PATH=\n")
        install(host, bundle)
        assert config(host) == f"ECS_CNI_PLUGINS_PATH={OURS}\n".encode()
        uninstall(host)
        assert config(host) == b"ECS_CNI_PLUGINS_PATH=\n"


CONFIGS = [
    None,
    b"",
    b"A=1",
    b"A=1\n\n\n",
    b"A=1\r\nB=2\r\n",
    b"A=1\\",
    b"\xff\xfe\x00\n",
    b"ECS_CNI_PLUGINS_PATH=/x\nECS_CNI_PLUGINS_PATH=/y",
    b"  ECS_CNI_PLUGINS_PATH=/x  \r\nA=1",
]


class TestUninstalled:
    @pytest.mark.parametrize("data", CONFIGS)
    def test_everything_is_as_it_was(self, tmp_path: Path, bundle: Bundle, later: Bundle, data: bytes | None) -> None:
        host = make_host(tmp_path / "host", data)
        before = picture(host)
        install(host, bundle)
        install(host, later)
        uninstall(host)
        assert picture(host) == before
        assert uninstall(host).steps == []
        assert picture(host) == before

    @pytest.mark.parametrize(
        "theirs", ["{}", '{"stateDir": "/var/lib/eni-ledger",\n "sync": true}', '{"stateDir":"/mine","agentDb":"/x"}']
    )
    def test_so_is_a_configuration_that_was_there(self, host: Path, bundle: Bundle, theirs: str) -> None:
        (host / "etc/eni-ledger").mkdir()
        (host / "etc/eni-ledger/config.json").write_text(theirs)
        before = picture(host)
        install(host, bundle)
        found = json.loads((host / "etc/eni-ledger/config.json").read_text())
        assert found["stateDir"] == ("/mine" if "/mine" in theirs else layout.STATE)
        uninstall(host)
        assert picture(host) == before

    def test_links_in_the_way_are_followed_inside_the_tree(self, host: Path, bundle: Bundle) -> None:
        (host / "srv").mkdir()
        (host / "etc/ecs/ecs.config").rename(host / "srv/ecs.config")
        (host / "etc/ecs/ecs.config").symlink_to("/srv/ecs.config")
        before = {name: one for name, one in picture(host).items() if name != "srv/ecs.config"}
        install(host, bundle)
        assert effective((host / "srv/ecs.config").read_bytes(), layout.KEY) == OURS
        uninstall(host)
        assert {name: one for name, one in picture(host).items() if name != "srv/ecs.config"} == before
        assert (host / "srv/ecs.config").read_bytes() == ECS_CONFIG

    def test_the_ledger_stays_until_it_is_purged(self, host: Path, bundle: Bundle) -> None:
        before = picture(host)
        install(host, bundle)
        (host / BASE / "state/ledger.jsonl").write_text("{}\n")
        report = uninstall(host)
        assert [str(path.relative_to(host / BASE)) for path in sorted((host / BASE).rglob("*"))] == [
            "state",
            "state/ledger.jsonl",
        ]
        assert any("the ledger stays" in note for note in report.notes)
        install(host, bundle)
        assert (host / BASE / "state/ledger.jsonl").read_text() == "{}\n"
        uninstall(host, purge=True)
        assert picture(host) == before

    def test_lines_that_were_added_since_stay(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        with (host / "etc/ecs/ecs.config").open("a") as file:
            file.write("ECS_LOGLEVEL=debug\n")
        uninstall(host)
        assert config(host) == ECS_CONFIG + b"ECS_LOGLEVEL=debug\n"

    def test_a_plugin_path_that_somebody_set_since_stays(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        (host / "etc/ecs/ecs.config").write_text("ECS_CNI_PLUGINS_PATH=/other\n")
        report = uninstall(host)
        assert config(host) == b"ECS_CNI_PLUGINS_PATH=/other\n"
        assert any("/other" in note for note in report.notes)
        assert not (host / BASE).exists()

    def test_user_data_that_writes_the_file_anew_is_no_trouble(self, host: Path, bundle: Bundle) -> None:
        """An image has our line, and its user data then does `cat > /etc/ecs/ecs.config`."""
        install(host, bundle)
        (host / "etc/ecs/ecs.config").write_text("ECS_CLUSTER=other\n")
        assert install(host, bundle).steps[-1].path == layout.ECS_CONFIG
        uninstall(host)
        assert config(host) == b"ECS_CLUSTER=other\n"

    def test_a_wiped_data_directory_leaves_no_line_behind(self, host: Path, bundle: Bundle) -> None:
        """What makes an image clean may remove everything in the agent's data directory, our record too."""
        install(host, bundle)
        shutil.rmtree(host / BASE)
        uninstall(host)
        assert config(host) == ECS_CONFIG

    def test_files_that_are_not_ours_stay(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        (host / BASE / "notes.txt").write_text("mine")
        report = uninstall(host)
        assert names(host / BASE) == ["notes.txt"]
        assert any("notes.txt" in note for note in report.notes)


class TestLinks:
    """Where a link stands in place of a directory of ours, the link goes and what it points to stays."""

    @pytest.fixture
    def precious(self, tmp_path: Path) -> Path:
        made = tmp_path / "host/srv/precious"
        (made / "inner").mkdir(parents=True)
        (made / "inner/file").write_text("theirs")
        return made

    def replace(self, host: Path, name: str, precious: Path) -> None:
        path = host / BASE / name
        if path.is_dir():
            shutil.rmtree(path)
        path.symlink_to("/" + str(precious.relative_to(host)))

    @pytest.mark.parametrize("purge", [False, True])
    @pytest.mark.parametrize("name", ["plugins", "versions", "versions/old", "state", "state/quarantine"])
    def test_uninstalling(self, host: Path, bundle: Bundle, precious: Path, name: str, *, purge: bool) -> None:
        install(host, bundle)
        before = picture(precious)
        self.replace(host, name, precious)
        uninstall(host, purge=purge)
        assert picture(precious) == before
        assert uninstall(host, purge=purge).steps == []
        if purge or not name.startswith("state"):
            assert not (host / BASE).exists()

    def test_upgrading(self, host: Path, bundle: Bundle, later: Bundle, precious: Path) -> None:
        install(host, bundle)
        before = picture(precious)
        (host / BASE / "versions/old").symlink_to("/srv/precious")
        (host / BASE / "versions/older").write_text("a file")
        install(host, later)
        assert names(host / BASE / "versions") == sorted([bundle.name, later.name])
        assert picture(precious) == before
        assert install(host, later).steps == []

    @pytest.mark.parametrize("name", ["plugins", "versions", "state"])
    def test_nothing_is_installed_through_one(
        self, host: Path, bundle: Bundle, later: Bundle, precious: Path, name: str
    ) -> None:
        install(host, bundle)
        self.replace(host, name, precious)
        before = picture(host)
        with pytest.raises(InstallError, match=f"a symbolic link stands.*/{name} -> /srv/precious"):
            install(host, later)
        assert picture(host) == before

    def test_what_an_interrupted_run_left_may_be_one(
        self, host: Path, bundle: Bundle, later: Bundle, precious: Path
    ) -> None:
        install(host, bundle)
        before = picture(precious)
        left = f"versions/.{later.name}.eni-ledger-new"
        (host / BASE / left).symlink_to("/srv/precious")
        (host / "etc/ecs/.ecs.config.eni-ledger-new").mkdir()
        install(host, later)
        assert picture(precious) == before
        assert not (host / BASE / left).is_symlink()
        assert names(host / "etc/ecs") == ["ecs.config", "ecs.config.json"]


class TestKilled:
    """At every single change to the file system, as by the out-of-memory killer or a power cut."""

    @pytest.fixture(params=[b"A=1", b"ECS_CNI_PLUGINS_PATH=/x\n"], ids=["unset", "set"])
    def pristine(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        return make_host(tmp_path / "pristine", request.param)

    @staticmethod
    def rounds(tmp_path: Path, start: Path, work: Callable[[Path, Tree], object]) -> list[Path]:
        """Return copies of `start`, one for each change at which `work` was killed."""
        found = []
        for number in range(1, 200):
            root = tmp_path / f"round{number}"
            shutil.copytree(start, root, symlinks=True)
            if not killed_at(number, root, work):
                break
            found.append(root)
        assert 5 < len(found) < 199
        return found

    @staticmethod
    def usable(root: Path, before: str | None) -> None:
        """Assert that an agent that starts now finds its plugins, ours or its own."""
        value = effective((root / "etc/ecs/ecs.config").read_bytes(), layout.KEY)
        if value == OURS:
            assert (root / BASE / "plugins/vpc-branch-eni").resolve(strict=True).is_file()
            assert (root / BASE / "config.json").is_file()
        else:
            assert value == before

    def test_installing(self, pristine: Path, tmp_path: Path, bundle: Bundle) -> None:
        before = picture(pristine)
        own = effective(config(pristine), layout.KEY)
        whole = tmp_path / "whole"
        shutil.copytree(pristine, whole, symlinks=True)
        install(whole, bundle)
        for root in self.rounds(tmp_path, pristine, lambda root, tree: install(root, bundle, tree=tree)):
            self.usable(root, own)
            again = root.with_name("again")
            shutil.copytree(root, again, symlinks=True)
            uninstall(root)
            assert picture(root) == before
            install(again, bundle)
            assert picture(again, times=False) == picture(whole, times=False)
            uninstall(again)
            assert picture(again) == before
            shutil.rmtree(again)

    def test_upgrading(self, pristine: Path, tmp_path: Path, bundle: Bundle, later: Bundle) -> None:
        before = picture(pristine)
        install(pristine, bundle)
        for root in self.rounds(tmp_path, pristine, lambda root, tree: install(root, later, tree=tree)):
            assert (root / BASE / "plugins/vpc-branch-eni").resolve(strict=True).is_file()
            install(root, later)
            assert target(root / BASE / "bundle") == f"versions/{later.name}"
            assert install(root, later).steps == []
            uninstall(root)
            assert picture(root) == before

    def test_uninstalling(self, pristine: Path, tmp_path: Path, bundle: Bundle) -> None:
        before = picture(pristine)
        own = effective(config(pristine), layout.KEY)
        install(pristine, bundle)
        for root in self.rounds(tmp_path, pristine, lambda root, tree: uninstall(root, tree=tree)):
            self.usable(root, own)
            again = root.with_name("again")
            shutil.copytree(root, again, symlinks=True)
            uninstall(root)
            assert picture(root) == before
            install(again, bundle)
            uninstall(again)
            assert picture(again) == before
            shutil.rmtree(again)


class TestRefused:
    @pytest.mark.parametrize("missing", ["etc/ecs", "var/lib/ecs/data"])
    def test_no_host_of_the_agent(self, host: Path, bundle: Bundle, missing: str) -> None:
        shutil.rmtree(host / missing)
        with pytest.raises(InstallError, match=f"no host of the ECS agent.*/{missing}") as caught:
            install(host, bundle)
        assert "--root" in caught.value.hint

    def test_no_bundle(self, tmp_path: Path) -> None:
        with pytest.raises(InstallError, match="no bundle"):
            Bundle(str(tmp_path))

    def test_another_architecture(self, host: Path, bundle: Bundle, tmp_path: Path) -> None:
        other = Bundle(str(shutil.copytree(bundle.directory, tmp_path / "arm", symlinks=True)))
        other.machine = "aarch64"
        (host / "usr/bin").mkdir(parents=True)
        shutil.copy("/bin/true", host / "usr/bin/true")
        if os.uname().machine == "aarch64":
            other.machine = "x86_64"
        with pytest.raises(InstallError, match="another architecture"):
            install(host, other)

    def test_no_room(self, host: Path, bundle: Bundle) -> None:
        large = Bundle(bundle.directory)
        large.size = 1 << 60
        with pytest.raises(InstallError, match="not enough room"):
            install(host, large)

    def test_a_record_of_a_later_version(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        (host / BASE / "installed.json").write_text('{"v": 2}')
        with pytest.raises(InstallError, match="later eni-ledger"):
            install(host, bundle)
        with pytest.raises(InstallError, match="later eni-ledger"):
            uninstall(host)

    def test_a_configuration_that_is_not_json(self, host: Path, bundle: Bundle) -> None:
        (host / "etc/eni-ledger").mkdir()
        (host / "etc/eni-ledger/config.json").write_text("{")
        before = picture(host)
        with pytest.raises(InstallError, match="not JSON"):
            install(host, bundle)
        assert picture(host) == before

    def test_two_at_once(self, host: Path, bundle: Bundle) -> None:
        with Tree(str(host)).lock(layout.AGENT_DATA), pytest.raises(InstallError, match="another install"):
            install(host, bundle)

    def test_a_restart_for_another_host(self, host: Path) -> None:
        with pytest.raises(UsageError, match="--restart"):
            uninstall_ecs(Tree(str(host)), Nobody(host), InstallReport(dry_run=False), restart=True)

    def test_nothing_is_changed_without_a_proof(self, host: Path, bundle: Bundle) -> None:
        """Of a tree without libraries nothing can be shown."""
        before = picture(host)
        with pytest.raises(InstallError, match="cannot be shown") as caught:
            install_ecs(Tree(str(host)), bundle, Nobody(host), no_docker(host), InstallReport(dry_run=False))
        assert "--no-proof" in caught.value.hint
        assert picture(host) == before


class TestCommands:
    @staticmethod
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        code = "import sys; from eni_ledger.cli.main import main; sys.exit(main(sys.argv[1:]))"
        return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)

    def test_there_and_back(self, host: Path, bundle: Bundle) -> None:
        before = picture(host)
        where = ("ecs", "--root", str(host))
        done = self.run("install", *where, "--bundle", bundle.directory, "--no-proof", "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["bundle"]["name"] == bundle.name
        assert document["steps"][-1]["path"] == f"{host}/etc/ecs/ecs.config"
        done = self.run("install", *where, "--bundle", bundle.directory)
        assert "nothing to do: already installed" in done.stdout
        done = self.run("uninstall", *where)
        assert done.returncode == 0, done.stderr
        assert "/etc/ecs/ecs.config: take ECS_CNI_PLUGINS_PATH out" in done.stdout
        assert picture(host) == before

    def test_errors_say_what_to_do(self, host: Path, tmp_path: Path) -> None:
        done = self.run("install", "ecs", "--root", str(tmp_path / "nowhere"))
        assert done.returncode == 2
        assert done.stderr.startswith("error: --root is not a directory: ")
        done = self.run("install", "ecs", "--root", str(host))
        assert done.returncode == 3
        assert "try: unpack the tar.gz" in done.stderr
        done = self.run("install", "nothing")
        assert done.returncode == 2
        for command in ("install", "uninstall"):
            for args in ([command], [command, "ecs", "--help"], [command, "cni", "-h"]):
                done = self.run(*args)
                assert done.returncode == 0
                assert "Examples:" in done.stdout
