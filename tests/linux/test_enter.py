"""`enter` and `capture` in real network namespaces."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base import host
from eni_ledger.base.errors import ObserveError
from eni_ledger.base.host import process_start
from eni_ledger.kernel.recorded import open_netns, trunk_interface
from helpers.ledgers import add_event, del_event, record
from helpers.patience import PATIENCE_S
from helpers.prereq import need
from helpers.trunk import Pause, named_netns, run

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.usefixtures("namespaces")


def recorded(pause: Pause, **more: Any) -> dict[str, Any]:
    """Return an add event of the namespace of `pause`, in this boot of this host."""
    status = Path(pause.netns).stat()
    about = {
        "netns": pause.netns,
        "netns_inode": status.st_ino,
        "netns_dev": status.st_dev,
        "pid": pause.pid,
        "pid_start": process_start(f"/proc/{pause.pid}"),
        "boot_id": host.boot_id(),
        **more,
    }
    return add_event(1, **about)


def cli(state_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "eni_ledger.entry", *arguments]
    env = {**os.environ, "ENI_LEDGER_STATE_DIR": str(state_dir)}
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=env)


def test_a_command_runs_in_the_namespace_and_its_status_is_ours(pause: Pause, tmp_path: Path) -> None:
    record(tmp_path, recorded(pause))
    run("nsenter", f"--net={pause.netns}", "ip", "link", "add", "here0", "type", "veth", "peer", "there0")
    done = cli(tmp_path, "enter", "10.0.0.1", "--", "ip", "-j", "link", "show", "here0")
    assert (done.returncode, json.loads(done.stdout)[0]["ifname"]) == (0, "here0"), done.stderr
    done = cli(tmp_path, "enter", "10.0.0.1", "--", "sh", "-c", "exit 7")
    assert (done.returncode, done.stderr) == (7, "")
    # SIGPIPE kills as in a shell: Python's own programs ignore it
    done = cli(tmp_path, "enter", "10.0.0.1", "--", "sh", "-c", "kill -PIPE $$; exit 0")
    assert done.returncode == -13
    done = cli(tmp_path, "enter", "10.0.0.1", "--", "no-such-program")
    assert (done.returncode, done.stderr) == (1, "error: there is no such program: 'no-such-program'\n")


def test_the_command_line_is_printed_for_a_shell_and_as_json(pause: Pause, tmp_path: Path) -> None:
    event = record(tmp_path, recorded(pause))
    argv = ["nsenter", f"--net=/proc/{pause.pid}/ns/net", "ip", "-j", "link show"]
    done = cli(tmp_path, "enter", "10.0.0.1", "--print", "--", *argv[2:])
    assert (done.returncode, done.stdout) == (0, f"{shlex.join(argv)}\n"), done.stderr
    done = cli(tmp_path, "enter", "10.0.0.1", "--json", "--", *argv[2:])
    assert json.loads(done.stdout) == {"association_id": event["association_id"], "argv": argv}
    assert done.returncode == 0
    record(tmp_path, recorded(pause, container_id="ee" * 32, addresses=["10.0.0.9/20"], pid_start=1))
    done = cli(tmp_path, "enter", "10.0.0.9", "--json")
    assert (done.returncode, done.stdout) == (3, "")


def test_what_has_ended_and_what_another_has_by_now_are_refused(pause: Pause, tmp_path: Path) -> None:
    event = record(tmp_path, recorded(pause, pid_start=1))
    done = cli(tmp_path, "enter", "10.0.0.1", "--", "true")
    assert done.returncode == 3
    assert done.stderr.startswith("error: the pause process has ended, and its namespace may be another by now: PID ")
    record(tmp_path, {**del_event(1), "boot_id": event["boot_id"]})
    done = cli(tmp_path, "enter", "10.0.0.1", "--", "true")
    assert done.returncode == 1
    assert done.stderr.startswith("error: it has ended: ")


def test_a_copy_is_refused(pause: Pause, tmp_path: Path) -> None:
    record(tmp_path, recorded(pause, boot_id="0" * 8 + "-0000-0000-0000-" + "0" * 12))
    done = cli(tmp_path / "none", "enter", "10.0.0.1", "--state-dir", str(tmp_path), "--", "true")
    assert done.returncode == 3
    assert "the ledger is a copy" in done.stderr


def test_a_namespace_is_found_by_its_mount_and_by_its_processes(pause: Pause) -> None:
    with named_netns(f"eni-ledger-{os.getpid()}") as path:
        status = Path(path).stat()
        for recorded_path in (path, f"/host{path}", "/elsewhere"):
            fd = open_netns({"netns": recorded_path, "netns_inode": status.st_ino, "netns_dev": status.st_dev})
            assert os.fstat(fd).st_ino == status.st_ino
            os.close(fd)
    with pytest.raises(ObserveError, match="not there any more"):
        open_netns({"netns": path, "netns_inode": status.st_ino, "netns_dev": status.st_dev})
    status = Path(pause.netns).stat()
    fd = open_netns({"netns": "/gone", "netns_inode": status.st_ino})
    assert os.fstat(fd).st_ino == status.st_ino
    os.close(fd)
    with pytest.raises(ObserveError, match="does not say which"):
        open_netns({"netns": pause.netns})


def test_a_whole_eni_is_captured_in_its_namespace(pause: Pause, tmp_path: Path) -> None:
    need(shutil.which("tcpdump"), "tcpdump")
    inside = ("nsenter", f"--net={pause.netns}", "ip")
    run(*inside, "link", "set", "lo", "up")
    about = {"protocol": "default", "vlan_id": None, "ifname": "lo"}
    record(tmp_path, recorded(pause, **about))
    shown = cli(tmp_path, "capture", "10.0.0.1", "--print", "--", "-c", "1", "udp")
    assert shown.stdout == f"nsenter --net=/proc/{pause.pid}/ns/net tcpdump -i lo -e -n -c 1 udp\n", shown.stderr
    shown = cli(tmp_path, "capture", "10.0.0.1", "--json", "--", "-c", "1", "udp")
    argv = ["nsenter", f"--net=/proc/{pause.pid}/ns/net", "tcpdump", "-i", "lo", "-e", "-n", "-c", "1", "udp"]
    assert json.loads(shown.stdout)["argv"] == argv
    out = tmp_path / "out.pcap"
    own = [sys.executable, "-m", "eni_ledger.entry"]
    capture = subprocess.Popen(
        [*own, "capture", "10.0.0.1", "--state-dir", str(tmp_path), "--", "-c", "1", "-U", "-w", str(out), "udp"],
        stderr=subprocess.PIPE,
        text=True,
    )
    send = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))"
    while capture.poll() is None:
        run("nsenter", f"--net={pause.netns}", sys.executable, "-c", send)
    said = capture.communicate(timeout=PATIENCE_S)[1]
    assert (capture.returncode, "tcpdump -i lo -c 1 -U -w" in said) == (0, True), said
    text = subprocess.run(["tcpdump", "-n", "-r", str(out)], capture_output=True, text=True, check=True).stdout
    assert "127.0.0.1.9: UDP" in text


def test_the_interface_of_the_trunk() -> None:
    name = f"t{os.getpid()}"
    run("ip", "link", "add", name, "address", "0a:00:00:00:77:01", "type", "veth", "peer", f"{name}p")
    try:
        index = int(Path(f"/sys/class/net/{name}/ifindex").read_text())
        trunk = {"trunk_mac": "0a:00:00:00:77:01", "trunk_ifindex": index, "trunk_ifname": "renamed"}
        assert trunk_interface(trunk) == name
        assert trunk_interface({"trunk_mac": "0a:00:00:00:77:01"}) == name
        own = Path("/proc/self/ns/net").stat().st_ino
        assert trunk_interface({**trunk, "trunk_netns_inode": own}) == name
        for wrong in ({"trunk_mac": "0a:00:00:00:77:02"}, {"trunk_ifindex": 2**31 - 1}, {"trunk_netns_inode": 1}):
            with pytest.raises(ObserveError):
                trunk_interface({**trunk, **wrong})
    finally:
        run("ip", "link", "del", name)
