"""Namespaces as they are found: by processes, by name, once each, without making or entering any."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base.host import process_start
from eni_ledger.kernel.scan import attachments, scan
from eni_ledger.reconcile.verify import compare
from helpers.trunk import Pause, named_netns, run

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.usefixtures("namespaces")

MAC = "0a:1b:2c:3d:01:01"


def proc_of(directory: Path, *pids: int) -> str:
    """Return a /proc that has these processes only: what else runs on the machine is not the test's business."""
    directory.mkdir()
    for pid in pids:
        (directory / str(pid)).symlink_to(f"/proc/{pid}")
    return str(directory)


def veth(netns: str, ifname: str = "eth0") -> None:
    inside = ("nsenter", f"--net={netns}", "ip")
    run(*inside, "link", "add", ifname, "address", MAC, "type", "veth", "peer", "name", "peer0")
    run(*inside, "link", "set", ifname, "up")
    run(*inside, "address", "add", "10.9.0.2/24", "dev", ifname)


def test_the_namespace_of_a_process(pause: Pause, tmp_path: Path) -> None:
    veth(pause.netns)
    found = scan(proc_of(tmp_path / "proc", pause.pid, os.getpid()), ())
    (namespace,) = found.namespaces
    identity = Path(pause.netns).stat()
    assert (namespace.dev, namespace.inode, namespace.pids) == (identity.st_dev, identity.st_ino, [pause.pid])
    links = {link.name: link for link in namespace.links}
    assert set(links) == {"lo", "eth0", "peer0"}
    assert (links["eth0"].mac, links["eth0"].kind, links["eth0"].addresses) == (MAC, "veth", ["10.9.0.2/24"])
    assert found.unreadable == []
    assert "lo" in {link.name for link in found.own}
    assert attachments(found) == []
    assert Path("/proc/self/ns/net").stat().st_ino != namespace.inode  # this process has not moved


def test_many_ways_to_one_namespace_count_once(pause: Pause, tmp_path: Path) -> None:
    mounts = tmp_path / "netns"
    mounts.mkdir()
    (mounts / "left-over").touch()  # a name whose namespace was taken away
    for name in ("one", "two"):
        (mounts / name).symlink_to(pause.netns)
    (namespace,) = scan(proc_of(tmp_path / "proc", pause.pid), (str(mounts), str(tmp_path / "missing"))).namespaces
    assert namespace.pids == [pause.pid]


@pytest.mark.parametrize(("name", "found"), [("alpha", 1), ("zeta", 1), ("default", 0)])
def test_a_name_is_found_behind_a_directory_that_is_missing(
    pause: Pause, tmp_path: Path, name: str, found: int
) -> None:
    """Docker's `default` is no container's."""
    mounts = tmp_path / "netns"
    mounts.mkdir()
    (mounts / name).symlink_to(pause.netns)
    seen = scan(proc_of(tmp_path / "proc"), (str(tmp_path / "missing"), str(mounts)))
    assert [namespace.path for namespace in seen.namespaces] == [f"{mounts}/{name}"] * found


def test_the_oldest_process_of_a_namespace_is_named_first(pause: Pause, tmp_path: Path) -> None:
    with Pause() as later:
        started = {process_start(f"/proc/{pause.pid}"), process_start(f"/proc/{later.pid}")}
        while len(started) == 1:  # within one tick of the clock
            later.stop()
            later = Pause()
            started.add(process_start(f"/proc/{later.pid}"))
        proc = Path(proc_of(tmp_path / "proc"))
        for number, pid in ((100, later.pid), (200, pause.pid)):  # numbers are used again, and then say nothing of age
            (proc / str(number)).mkdir()
            (proc / f"{number}/stat").symlink_to(f"/proc/{pid}/stat")
            (proc / f"{number}/ns").symlink_to(f"/proc/{pause.pid}/ns")
        (namespace,) = scan(str(proc), ()).namespaces
        later.stop()
    assert namespace.pids == [200, 100]


def test_addresses_that_are_good_for_one_link_or_for_the_host_are_left_out(pause: Pause, tmp_path: Path) -> None:
    veth(pause.netns)
    inside = ("nsenter", f"--net={pause.netns}", "ip", "address", "add")
    run(*inside, "169.254.7.7/16", "dev", "eth0", "scope", "link")
    run(*inside, "10.9.0.3/32", "dev", "lo", "scope", "host")
    (namespace,) = scan(proc_of(tmp_path / "proc", pause.pid), ()).namespaces
    shown = {link.name: sorted(link.addresses) for link in namespace.links}
    assert shown == {"lo": [], "eth0": ["10.9.0.2/24"], "peer0": []}


def test_a_namespace_without_a_process_is_found_by_its_name(tmp_path: Path) -> None:
    with named_netns("eni-ledger-test") as path:
        inode = Path(path).stat().st_ino
        found = scan(proc_of(tmp_path / "proc"))
        (namespace,) = [each for each in found.namespaces if each.inode == inode]
        assert namespace.pids == []
        assert namespace.path == path
        assert {link.name for link in namespace.links} == {"lo"}


def test_nothing_is_made(pause: Pause, tmp_path: Path) -> None:
    def there() -> tuple[list[Path], list[Path]]:
        return sorted(Path("/var/run").glob("netns/*")), sorted(Path("/proc/self/fd").iterdir())

    before = there()
    scan(proc_of(tmp_path / "proc", pause.pid))
    assert there() == before


def test_a_process_that_has_ended_is_passed_over(tmp_path: Path) -> None:
    with Pause() as pause:
        proc = proc_of(tmp_path / "proc", pause.pid)
    found = scan(proc, ())
    assert (found.namespaces, found.unreadable) == ([], [])


def test_what_cannot_be_looked_into_is_said(tmp_path: Path) -> None:
    (tmp_path / "netns").write_text("no directory")
    found = scan(proc_of(tmp_path / "proc"), (str(tmp_path / "netns"),))
    assert found.unreadable == [f"{tmp_path}/netns: Not a directory"]


def test_an_interface_that_is_no_vlan_is_compared_too(pause: Pause, tmp_path: Path) -> None:
    veth(pause.netns)
    proc = proc_of(tmp_path / "proc", pause.pid)
    identity = Path(pause.netns).stat()
    association: Any = {
        "association_id": "assoc-00000000000000001",
        "ifname": "eth0",
        "observed_mac": MAC,
        "netns_inode": identity.st_ino,
        "netns_dev": identity.st_dev,
        "pid": pause.pid,
        "pid_start": process_start(f"/proc/{pause.pid}"),
    }
    assert compare([association], scan(proc, ()), proc).agrees
    run("nsenter", f"--net={pause.netns}", "ip", "link", "set", "eth0", "address", "0a:1b:2c:3d:01:02")
    (verdict,) = compare([association], scan(proc, ()), proc).verdicts
    assert (verdict.status, "MAC" in verdict.why) == ("changed", True)
    pause.stop()
    (verdict,) = compare([association], scan(proc, ()), proc).verdicts
    assert verdict.status == "gone"
