"""Installing on this very host, of which the test sees a private `/etc` and `/var/lib`.

With the built bundle, the proof in a mount namespace and under a real dockerd, an agent that restarts, and upgrades
while calls run.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eni_ledger.base.errors import InstallError
from eni_ledger.install import trial_docker, trial_mountns
from eni_ledger.install.bundle import Bundle
from eni_ledger.install.service import InstallReport, install_ecs
from eni_ledger.install.tree import Tree
from eni_ledger.install.trial import Unprovable
from helpers.agent_container import ENTER
from helpers.patience import PATIENCE_S
from helpers.prereq import need
from helpers.roots import Nobody, make_host, no_docker, picture

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
SSM_DOCUMENT = REPOSITORY / "conf/ecs/ssm-document.yaml"
BASE = Path("/var/lib/ecs/data/eni-ledger")
OURS = "/data/eni-ledger/plugins"
BUSYBOX = Path("/bin/busybox")

# $1 has the private directories.
PRIVATE = """set -e
cp -a /etc/. "$1/etc"
rm -rf "$1/etc/ecs" "$1/etc/eni-ledger"
mkdir -p "$1/etc/ecs" "$1/lib/ecs/data"
printf 'ECS_CLUSTER=prod\\nECS_LOGLEVEL=info' > "$1/etc/ecs/ecs.config"
mount --bind "$1/etc" /etc
mount --bind "$1/lib" /var/lib
mount -t tmpfs tmpfs /run
echo ready
exec sleep 600
"""

TIMERS = {path.name for path in (REPOSITORY / "conf/systemd").glob("*.timer")}

# systemctl as far as the agent is concerned: it runs in its container with what ecs.config says.
SYSTEMCTL = """#!/bin/sh
dir=${0%/*}
start() { # DATA [NAME=VALUE]
  data=$1
  shift
  env -i PATH="$PATH" ECS_DATADIR=/data "$@" \\
    setsid unshare --mount --propagation private sh -c "$(cat "$dir/enter")" sh "$dir/root" "$data" >/dev/null 2>&1 &
  echo $! > "$dir/pid"
  while [ "$(cat /proc/$!/comm)" != agent ]; do sleep 0.05; done
}
case "$*" in
  "start-agent "*) start "$2" ;;
  "is-active --quiet ecs") [ -e "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" ;;
  "restart ecs")
    echo restart >> "$dir/calls"
    kill "$(cat "$dir/pid")"
    path=$(sed -n 's/^ECS_CNI_PLUGINS_PATH=//p' /etc/ecs/ecs.config)
    start /var/lib/ecs/data ${path:+ECS_CNI_PLUGINS_PATH=$path} ;;
  daemon-reload) ;;
  "enable --now --no-block "*) shift 3; printf '%s\\n' "$@" > "$dir/enabled" ;;
  *) exit 4 ;;
esac
"""


@pytest.fixture(scope="module")
def bundle(front_door: Path) -> Path:
    need(os.geteuid() == 0, "root, for mounts")
    found = front_door.resolve().parent
    need((found / "_internal").exists(), "the built bundle; build/bundle makes it")
    return found


class Host:
    """This host with private directories; commands run on it by `nsenter`."""

    def __init__(self, directory: Path, bundle: Path) -> None:
        self.directory = directory
        self.bundle = bundle
        self.etc, self.lib, self.bin = (directory / name for name in ("etc", "lib", "bin"))
        for one in (self.etc, self.lib, self.bin):
            one.mkdir()
        (self.bin / "systemctl").write_text(SYSTEMCTL)
        (self.bin / "systemctl").chmod(0o755)
        (self.bin / "enter").write_text(ENTER)
        (self.bin / "root").mkdir()
        # A process of another test on this machine may be an agent, too.
        command = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command += ["sh", "-c", PRIVATE, "sh", str(directory)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        unshare = self._process.pid
        self._init = int(Path(f"/proc/{unshare}/task/{unshare}/children").read_text())
        self.before = self.picture()

    def run(self, *command: str | Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", "--mount", "--pid", f"--target={self._init}", *prefix, *command]
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        return subprocess.run(inside, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    def ledger(self, *args: str, bundle: Path | None = None, prefix: tuple[str, ...] = ()) -> str:
        """Run `eni-ledger` and return what it printed; the test fails when that fails."""
        done = self.run((bundle or self.bundle) / "eni-ledger", *args, prefix=prefix)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *args: str, bundle: Path | None = None, prefix: tuple[str, ...] = ()) -> str:
        """Run `eni-ledger`, assert that it ends with one error, and return that."""
        done = self.run((bundle or self.bundle) / "eni-ledger", *args, prefix=prefix)
        assert done.returncode == 3, done
        assert done.stderr.startswith("error: "), done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def picture(self) -> dict[str, tuple[object, ...]]:
        return {
            **{f"etc/{name}": one for name, one in picture(self.etc, times=False).items()},
            **{f"lib/{name}": one for name, one in picture(self.lib, times=False).items()},
        }

    def start_agent(self, data: str = "/var/lib/ecs/data") -> int:
        """Run the agent in its container; return its process, as the host numbers it."""
        assert self.run(self.bin / "systemctl", "start-agent", data).returncode == 0
        return int((self.bin / "pid").read_text())

    def pretend(self, *prefix: str) -> None:
        """Run a process that has the agent's name and environment and shares the host's root directory."""
        env = ("env", "-i", f"PATH={os.environ['PATH']}", "ECS_DATADIR=/data", f"ECS_CNI_PLUGINS_PATH={OURS}")
        work = "printf agent >/proc/self/comm; sleep 600; :"
        shell = '"$@" >/dev/null 2>&1 & while [ "$(cat /proc/$!/comm)" != agent ]; do sleep 0.05; done'
        assert self.run("sh", "-c", shell, "sh", *env, *prefix, "sh", "-c", work).returncode == 0

    def restarts(self) -> int:
        calls = self.bin / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def host(tmp_path: Path, bundle: Path) -> Iterator[Host]:
    need(shutil.which("unshare") and shutil.which("nsenter"), "unshare and nsenter")
    made = Host(tmp_path, bundle)
    try:
        yield made
    finally:
        made.close()


def broken(bundle: Path, directory: Path, how: str) -> Path:
    """Return a copy of the bundle that does not work."""
    copy = Path(shutil.copytree(bundle, directory, symlinks=True))
    if how == "no libpython":
        for path in (copy / "_internal").glob("libpython*"):
            path.unlink()
    elif how == "no codecs":
        shutil.rmtree(copy / "_internal/encodings")
    elif how == "another loader":
        data = (copy / "eni-ledger").read_bytes()
        loader = b"/lib64/ld-linux-x86-64.so.2" if b"ld-linux-x86-64" in data else b"/lib/ld-linux-aarch64.so.1"
        (copy / "eni-ledger").write_bytes(data.replace(loader, loader[:-1] + b"9"))
    elif how == "a script":
        (copy / "eni-ledger").write_text("#!/bin/sh\necho '{\"supportedVersions\":[]}'\n")
    elif how == "says nothing":
        shutil.copy("/bin/true", copy / "eni-ledger")
    return copy


BROKEN = ["no libpython", "no codecs", "another loader", "a script", "says nothing"]


class TestOnThisHost:
    def test_there_and_back_with_an_agent_that_runs(self, host: Host) -> None:
        host.start_agent()
        said = host.ledger("install", "ecs", "--restart")
        assert "proven: in a mount namespace like the agent's: VERSION answered, an ADD passed on and recorded" in said
        assert "the agent was restarted" in said
        assert host.restarts() == 1
        said = host.ledger("install", "ecs", "--restart")
        assert "nothing to do: already installed" in said
        assert "the running agent calls its plugins through eni-ledger" in said
        assert host.restarts() == 1
        # The commands of the host find the ledger without being told.
        assert "/var/lib/ecs/data/eni-ledger/state has no ledger.jsonl" in host.refused("list")

        installed = BASE / "bundle"
        said = host.refused("uninstall", "ecs", bundle=installed)
        assert "the running agent still calls eni-ledger" in said
        assert "try: systemctl restart ecs" in said
        assert (host.etc / "ecs/ecs.config").read_text() == "ECS_CLUSTER=prod\nECS_LOGLEVEL=info"
        assert (host.lib / "ecs/data/eni-ledger/plugins/vpc-branch-eni").is_symlink()
        # By the program that is going to be removed.
        said = host.ledger("uninstall", "ecs", "--restart", bundle=installed)
        assert "the agent was restarted" in said
        assert host.restarts() == 2
        assert host.picture() == host.before

    def test_the_doctor_looks_into_its_container(self, host: Host) -> None:
        need(BUSYBOX.exists(), "busybox-static")
        host.start_agent()
        host.ledger("install", "ecs", "--restart")
        done = host.run(host.bundle / "eni-ledger", "doctor", "--json")
        found = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
        assert [found[name]["status"] for name in ("interposed", "delegates")] == ["ok", "ok"], found

    def test_an_agent_with_another_data_directory(self, host: Host) -> None:
        """After its restart it would find no plugin, so nothing is done."""
        assert host.run("mkdir", "/etc/other").returncode == 0
        before = host.picture()
        pid = host.start_agent("/etc/other")
        for more in ([], ["--dry-run"], ["--no-proof"]):
            said = host.refused("install", "ecs", *more)
            assert "an ECS agent with another data directory" in said
            assert f"agent (PID {pid}) has /etc/other" in said or "/other at /data" in said
        assert host.picture() == before

    def test_an_agent_outside_of_a_container(self, host: Host) -> None:
        need(not Path("/data").exists(), "a host without /data")
        host.pretend()
        assert "the ECS agent runs outside of a container" in host.refused("install", "ecs")
        assert host.picture() == host.before

    def test_who_pretends_to_be_the_agent_is_in_nobodys_way(self, host: Host) -> None:
        """A process of anybody's with the name and the environment of the agent."""
        host.pretend("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        host.ledger("install", "ecs")
        host.ledger("uninstall", "ecs")
        assert host.picture() == host.before

    def test_an_agent_that_does_not_run_is_not_started(self, host: Host) -> None:
        said = host.ledger("install", "ecs", "--restart")
        assert "no running agent was seen; one reads this at its start" in said
        assert host.restarts() == 0
        host.ledger("uninstall", "ecs", "--restart")
        assert host.picture() == host.before

    def test_a_dry_run_proves_and_changes_nothing(self, host: Host) -> None:
        document = json.loads(host.ledger("install", "ecs", "--dry-run", "--json"))
        assert document["dry_run"] is True
        assert len(document["proof"]) == 1
        assert document["effective_with"] == "systemctl restart ecs"
        assert host.picture() == host.before

    @pytest.mark.parametrize("how", BROKEN)
    def test_a_bundle_that_does_not_run_there_changes_nothing(self, host: Host, tmp_path: Path, how: str) -> None:
        bad = broken(host.bundle, tmp_path / "bad", how)
        said = host.refused("install", "ecs", "--bundle", str(bad))
        assert "does not run in the agent's container; nothing was changed" in said
        assert host.picture() == host.before

    def test_nor_does_it_when_a_good_one_is_at_work(self, host: Host, tmp_path: Path) -> None:
        host.ledger("install", "ecs")
        before = host.picture()
        host.refused("install", "ecs", "--bundle", str(broken(host.bundle, tmp_path / "bad", "no libpython")))
        assert host.picture() == before

    def test_without_privileges(self, host: Host) -> None:
        """Without the right to mount nothing can be shown; without being root, nothing can be changed."""
        powerless = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")
        said = host.refused("install", "ecs", prefix=powerless)
        assert "cannot be shown" in said
        assert "--no-proof" in said
        nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
        readable = shutil.copytree(host.bundle, "/tmp/eni-ledger-test-bundle", symlinks=True, dirs_exist_ok=True)
        try:
            said = host.refused("install", "ecs", "--no-proof", bundle=Path(readable), prefix=nobody)
        finally:
            shutil.rmtree(readable)
        assert "no permission to change this directory" in said
        assert "try: run this as root" in said
        assert host.picture() == host.before

    def test_a_dry_run_without_privileges_prints_the_steps_and_what_they_are_worth(self, host: Host) -> None:
        powerless = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")
        said = host.ledger("install", "ecs", "--dry-run", prefix=powerless)
        assert "not proven: it cannot be shown that the bundle runs in the agent's container" in said
        assert (
            "would do with --no-proof (without it: nothing):\n  /var/lib/ecs/data/eni-ledger: make the directory"
            in said
        )
        assert "\nwould do:" not in said
        document = json.loads(host.ledger("install", "ecs", "--dry-run", "--json", prefix=powerless))
        assert (document["proof"], "cannot be shown" in document["unproven"]["message"]) == ([], True)
        assert len(document["steps"]) > 5
        assert host.picture() == host.before

    def test_timers_that_are_off_are_told_with_what_turns_them_on(self, host: Host) -> None:
        command = (
            f"systemctl enable --now {' '.join(f'eni-ledger-{one}.timer' for one in ('identify', 'fsck', 'prune'))}"
        )
        assert f"turn them on: install the package of eni-ledger, which has them; then {command}\n" in host.ledger(
            "install", "ecs", "--dry-run"
        )
        units, wanted = host.etc / "systemd/system", host.etc / "systemd/system/timers.target.wants"
        for name in TIMERS:
            shutil.copy(REPOSITORY / "conf/systemd" / name, units)
        assert f"timers are off; turn them on: {command}\n" in host.ledger("install", "ecs", "--dry-run")
        wanted.mkdir(exist_ok=True)
        for name in TIMERS:
            (wanted / name).symlink_to(f"/etc/systemd/system/{name}")
        assert "timers" not in host.ledger("install", "ecs", "--dry-run")

    @pytest.mark.parametrize("where", ["/etc", "/var/lib"])
    def test_a_read_only_file_system(self, host: Host, where: str) -> None:
        assert host.run("mount", "-o", "remount,bind,ro", where).returncode == 0
        assert "read-only" in host.refused("install", "ecs")
        assert host.picture() == host.before

    def test_no_programs_in_the_data_directory(self, host: Host) -> None:
        assert host.run("mount", "-o", "remount,bind,noexec", "/var/lib").returncode == 0
        assert "without noexec" in host.refused("install", "ecs")
        assert host.picture() == host.before


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def archive(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a .tar.gz as build/package makes it."""
    path = tmp_path_factory.mktemp("archive") / "package.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        tar.add(bundle, "opt/eni-ledger")
    return path


class TestUnattended:
    """The scripts of `conf/ecs`, with a package in a bucket or on the instance."""

    @pytest.fixture
    def package(self, host: Host, archive: Path, tmp_path: Path) -> Path:
        """Return the archive in a directory of its own, from which comes what is asked of S3."""
        assert host.run("mount", "-t", "tmpfs", "tmpfs", "/opt").returncode == 0
        path = tmp_path / "bucket" / f"eni-ledger-{os.uname().machine}.tar.gz"
        path.parent.mkdir()
        os.link(archive, path)
        (host.bin / "aws").write_text(f'#!/bin/sh\n[ "$1 $2" = "s3 cp" ] && cp "{path.parent}/${{4##*/}}" "$5"\n')
        (host.bin / "aws").chmod(0o755)
        return path

    @staticmethod
    def user_data(host: Host, **values: str) -> subprocess.CompletedProcess[str]:
        text = (REPOSITORY / "conf/ecs/user-data.sh").read_text()
        for name, value in values.items():
            text, changed = re.subn(rf"^{name}='.*'$", f"{name}='{value}'", text, flags=re.M)
            assert changed == 1
        return host.run("bash", "-c", text)

    def enabled(self, host: Host) -> set[str]:
        return set((host.bin / "enabled").read_text().split())

    def config(self, host: Host) -> str:
        return (host.etc / "ecs/ecs.config").read_text()

    @pytest.mark.parametrize("where", ["s3://amzn-s3-demo-bucket/x/", "file"])
    def test_user_data(self, host: Host, package: Path, where: str) -> None:
        (host.etc / "ecs/ecs.config").write_text("")
        source = where.replace("file", f"{package.parent}/") + "eni-ledger-ARCH.tar.gz"
        for sums in (sha256(package), f"{'0' * 64} {sha256(package)}"):
            done = self.user_data(host, ENI_LEDGER_SOURCE=source, ENI_LEDGER_SHA256=sums)
            assert done.returncode == 0, done.stderr
            assert self.config(host) == f"ECS_CLUSTER=default\nECS_CNI_PLUGINS_PATH={OURS}\n"
            assert self.enabled(host) == TIMERS
            assert "timers" not in done.stderr

    @pytest.mark.parametrize(
        "values",
        [
            {"ENI_LEDGER_SHA256": ""},
            {"ENI_LEDGER_SHA256": "0" * 64},
            {"ENI_LEDGER_SHA256": "none"},
            {"ENI_LEDGER_SOURCE": "s3://b/eni-ledger-ARCH.tar.gz", "ENI_LEDGER_SHA256": ""},
            {"ENI_LEDGER_SOURCE": "s3://bucket/none.tar.gz"},
            {"ENI_LEDGER_SOURCE": "https://localhost/x.tar.gz"},
            {"ENI_LEDGER_SOURCE": "eni-ledger.rpm"},
        ],
    )
    def test_the_instance_joins_its_cluster_whatever_goes_wrong(
        self, host: Host, package: Path, values: dict[str, str]
    ) -> None:
        (host.etc / "ecs/ecs.config").write_text("")
        given = {"ENI_LEDGER_SOURCE": str(package), "ENI_LEDGER_SHA256": sha256(package), "ECS_CLUSTER": "mine"}
        done = self.user_data(host, **given | values)
        assert done.returncode == 1
        assert "the instance goes on without it" in done.stderr
        assert "ECS_CLUSTER=mine\n" in self.config(host)
        assert "ECS_CNI_PLUGINS_PATH" not in self.config(host)

    @pytest.mark.parametrize("line", ["ECS_CLUSTER=prod", "  ECS_CLUSTER=prod\t", "ECS_CLUSTER="])
    def test_a_cluster_that_is_set_stays(self, host: Host, package: Path, line: str) -> None:
        (host.etc / "ecs/ecs.config").write_text(f"# ours\n{line}\nA=1\n")
        values = {"ENI_LEDGER_SOURCE": str(package), "ENI_LEDGER_SHA256": sha256(package), "ECS_CLUSTER": "mine"}
        done = self.user_data(host, **values)
        assert done.returncode == 0, done.stderr
        assert self.config(host) == f"# ours\n{line}\nA=1\nECS_CNI_PLUGINS_PATH={OURS}\n"
        assert f"/etc/ecs/ecs.config has {line}, which stays" in done.stderr

    @pytest.mark.parametrize("before", ["# ECS_CLUSTER=prod\n", "A=1", "ECS_CLUSTER =prod\n", "XECS_CLUSTER=prod\n"])
    def test_a_cluster_that_is_not_set_is_added_on_a_line_of_its_own(self, host: Host, before: str) -> None:
        (host.etc / "ecs/ecs.config").write_text(before)
        self.user_data(host, ECS_CLUSTER="mine")
        assert self.config(host) == before.rstrip("\n") + "\nECS_CLUSTER=mine\n"

    def test_systems_manager(self, host: Host, package: Path) -> None:
        host.start_agent()
        (commands,) = re.findall(r"^        - \|\n((?: {10}.*\n|\n)+)", SSM_DOCUMENT.read_text(), re.M)
        source, sums = "s3://b/eni-ledger-ARCH.tar.gz", sha256(package)
        values = {"Action": "install", "Source": source, "Sha256": sums, "Restart": "yes"}

        def command(**more: str) -> subprocess.CompletedProcess[str]:
            text = textwrap.dedent(commands)
            for name, value in {**values, **more}.items():
                text = text.replace(f"{{{{ {name} }}}}", value)
            return host.run("bash", "-c", text)

        before = self.config(host)
        for bad, why in (("none", "has to be the SHA-256"), ("0" * 64, "which is not in Sha256")):
            done = command(Sha256=bad)
            assert (done.returncode, why in done.stderr) == (1, True)
        assert host.run("test", "-e", "/opt/eni-ledger").returncode == 1
        done = command()
        assert done.returncode == 0, done.stderr
        assert (host.restarts(), "the agent was restarted" in done.stdout) == (1, True)
        assert self.enabled(host) == TIMERS
        assert command(Sha256=f"{'0' * 64} {sums}").returncode == 0
        assert command(Action="uninstall", Restart="no").returncode == 3
        assert command(Action="uninstall").returncode == 0
        assert (host.restarts(), self.config(host)) == (2, before)


DELEGATE = """#!/bin/sh
cat >/dev/null
sleep 0.02
echo '{"cniVersion":"0.3.0","interfaces":[]}'
"""


def test_upgrades_while_calls_run(tmp_path: Path, bundle: Path) -> None:
    """Every ADD through the link that the agent calls is answered by the delegate and is in the ledger.

    ENI_LEDGER_OTHER_BIN is the program of another version, with which the built one takes turns; `build/matrix` gives
    that of 0.1.0.
    """
    root = make_host(tmp_path / "host")
    base = root / str(BASE)[1:]
    base.mkdir()
    delegates = tmp_path / "delegates"
    delegates.mkdir()
    (delegates / "vpc-branch-eni").write_text(DELEGATE)
    (delegates / "vpc-branch-eni").chmod(0o755)
    settings = {"stateDir": str(tmp_path / "state"), "delegateDir": str(delegates), "journald": False}
    (base / "config.json").write_text(json.dumps(settings))
    another = os.environ.get("ENI_LEDGER_OTHER_BIN")
    other = Path(shutil.copytree(Path(another).parent if another else bundle, tmp_path / "other", symlinks=True))
    (other / "_internal/changed").write_text("")
    bundles = [Bundle(str(bundle)), Bundle(str(other))]

    def upgrade(one: Bundle) -> None:
        install_ecs(Tree(str(root)), one, Nobody(root), no_docker(root), InstallReport(dry_run=False), prove=False)

    upgrade(bundles[0])
    plugin = base / "plugins/vpc-branch-eni"
    answers: list[subprocess.CompletedProcess[bytes]] = []
    done = threading.Event()

    def calls() -> None:
        while not done.is_set():
            env = {
                "CNI_COMMAND": "ADD",
                "CNI_CONTAINERID": f"{len(answers):064x}",
                "CNI_IFNAME": "eth0",
                "CNI_NETNS": "/proc/1/ns/net",
                "PATH": os.environ["PATH"],
            }
            conf = b'{"cniVersion":"0.3.0","name":"n","type":"vpc-branch-eni","branchMACAddress":"0a:00:00:00:00:01"}'
            answers.append(subprocess.run([plugin], input=conf, env=env, capture_output=True, check=False))

    thread = threading.Thread(target=calls)
    thread.start()
    try:
        for number in range(1, 9):
            upgrade(bundles[number % 2])
            have = len(answers)
            while len(answers) < have + 3 and thread.is_alive():
                time.sleep(0.01)
    finally:
        done.set()
        thread.join()
    assert len(answers) >= 24
    assert {(one.returncode, one.stdout) for one in answers} == {(0, b'{"cniVersion":"0.3.0","interfaces":[]}\n')}
    recorded = [json.loads(line) for line in (tmp_path / "state/ledger.jsonl").read_bytes().splitlines()]
    assert len([one for one in recorded if one["event"] == "add"]) == len(answers)
    assert len(list((base / "versions").iterdir())) == 2


# --- the proof under Docker ---

# $1 has its directories. A private /run keeps it from whatever else runs here.
DOCKERD = """set -e
mount -t tmpfs tmpfs /run
exec dockerd --iptables=false --bridge=none --storage-driver=vfs --log-level=warn --data-root="$1/root" \
  --exec-root="$1/exec" --pidfile="$1/pid" --host="unix://$1/docker.sock"
"""


@pytest.fixture(scope="module")
def docker(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[trial_docker.DockerEngine]:
    missing = [name for name in ("dockerd", "docker-init", "unshare") if shutil.which(name) is None]
    need(not missing, f"docker.io and tini (missing: {missing})")
    directory = tmp_path_factory.mktemp("docker")
    log = (directory / "log").open("w+")
    command = ["unshare", "--mount", "--propagation", "private", "--net", "sh", "-c", DOCKERD, "sh", str(directory)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    made = trial_docker.DockerEngine(str(directory / "docker.sock"))
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not made.answers():
            assert process.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < deadline, (directory / "log").read_text()
            time.sleep(0.1)
        yield made
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        log.close()


def agent_image(docker: trial_docker.DockerEngine, plugin: str) -> None:
    """Import an image of the agent's name whose vpc-branch-eni is a script."""
    need(BUSYBOX.exists(), "busybox-static")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in (
            ("busybox", BUSYBOX.read_bytes()),
            ("amazon-ecs-cni-plugins/vpc-branch-eni", f"#!/busybox sh\n{plugin}\n".encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    path = "/images/create?fromSrc=-&repo=amazon/amazon-ecs-agent:latest"
    docker.ask("POST", path, packed.getvalue(), "application/x-tar")


@pytest.fixture
def clean(docker: trial_docker.DockerEngine) -> Iterator[None]:
    """See to it that a proof leaves nothing behind."""
    yield
    for image in json.loads(docker.ask("GET", "/images/json")):
        if image["RepoTags"] == ["amazon/amazon-ecs-agent:latest"]:
            docker.ask("DELETE", f"/images/{image['Id']}?force=1")
    assert json.loads(docker.ask("GET", "/containers/json?all=1")) == []
    assert json.loads(docker.ask("GET", "/images/json?all=1")) == []


@pytest.mark.usefixtures("clean")
class TestUnderDocker:
    def test_in_a_container_from_scratch(self, docker: trial_docker.DockerEngine, bundle: Path) -> None:
        assert "from scratch with the agent's binds" in trial_docker.prove_in_container(docker, str(bundle))

    @pytest.mark.parametrize("how", ["no libpython", "another loader", "says nothing"])
    def test_a_bundle_that_does_not_run(
        self, docker: trial_docker.DockerEngine, bundle: Path, tmp_path: Path, how: str
    ) -> None:
        with pytest.raises((InstallError, Unprovable)):
            trial_docker.prove_in_container(docker, str(broken(bundle, tmp_path / "bad", how)))

    def test_with_the_image_of_the_agent(self, docker: trial_docker.DockerEngine, bundle: Path) -> None:
        agent_image(docker, '[ "$1" = --capabilities ] && echo \'{"capabilities":["awsvpc-network-mode"]}\'')
        assert "its own vpc-branch-eni answers" in trial_docker.prove_in_container(docker, str(bundle))

    def test_an_agent_that_would_stop_for_good(self, docker: trial_docker.DockerEngine, bundle: Path) -> None:
        agent_image(docker, "echo no such flag >&2; exit 2")
        with pytest.raises(InstallError, match="status 2, no such flag"):
            trial_docker.prove_in_container(docker, str(bundle))


def test_the_libraries_of_an_image_are_the_ones_that_count(bundle: Path, tmp_path: Path) -> None:
    """With --root the proof runs with what the tree has."""
    (tmp_path / "usr/lib").mkdir(parents=True)
    with pytest.raises(InstallError, match="this tree lacks the C library"):
        trial_mountns.prove_in_namespace(str(bundle), str(tmp_path))
    (tmp_path / "bare").mkdir()
    with pytest.raises(Unprovable, match="no /usr/lib"):
        trial_mountns.prove_in_namespace(str(bundle), str(tmp_path / "bare"))
    assert "VERSION answered" in trial_mountns.prove_in_namespace(str(bundle))
