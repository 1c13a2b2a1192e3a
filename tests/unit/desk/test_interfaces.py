"""What `scan` makes of the kernel's links: roles, states, who is in a namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from eni_ledger.desk import interfaces as module
from eni_ledger.desk.interfaces import default_interface, identify, interfaces
from eni_ledger.identity.imds import Imds
from eni_ledger.identity.source import Unavailable
from eni_ledger.kernel.scan import Namespace, Scan, ScannedLink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields


def scanned(trunk_state: str = "up") -> Scan:
    own = [
        ScannedLink(1, "lo", "00:00:00:00:00:00", ""),
        ScannedLink(2, "ens5", "0a:00:00:00:00:05", "", state="up"),
        ScannedLink(3, "ens6", "0a:00:00:00:00:06", "", state=trunk_state),
        ScannedLink(4, "ens7", "0a:00:00:00:00:07", "", state="down"),
        ScannedLink(5, "docker0", "02:42:00:00:00:01", "bridge"),
    ]
    branch = ScannedLink(
        7, "eth0", "0a:00:00:00:01:01", "vlan", 101, 3, True, ["10.0.32.4/20"], "802.1Q", "up", {"rx_bytes": 7}
    )
    whole = ScannedLink(8, "eth0", "0a:00:00:00:00:08", "", addresses=["10.0.32.9/20"], state="up")
    bridged = ScannedLink(9, "eth0", "0a:00:00:00:00:09", "veth")
    spaces = [Namespace(4, 100 + n, f"/proc/none/{n}", [], [link]) for n, link in enumerate((branch, whole, bridged))]
    return Scan(spaces, own, [], 99)


@pytest.fixture(autouse=True)
def _route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "default_interface", lambda: "ens5")


def test_roles_and_states() -> None:
    rows = interfaces(scanned())
    assert [(row["role"], row["ifname"], row.get("vlan_id"), row.get("netns_inode")) for row in rows] == [
        ("primary", "ens5", None, None),
        ("trunk", "ens6", None, None),
        ("eni", "ens7", None, None),
        ("branch", "eth0", 101, 100),
        ("eni", "eth0", None, 101),
    ]
    branch = rows[3]
    assert (branch["trunk_ifname"], branch["trunk_mac"], branch["trunk_state"]) == ("ens6", "0a:00:00:00:00:06", "up")
    assert (branch["addresses"], branch["counters"], rows[4]["protocol"]) == (
        ["10.0.32.4/20"],
        {"rx_bytes": 7},
        "default",
    )
    assert [row.get("problem") for row in rows] == [None, None, "ens7 is down", None, None]


def test_a_branch_whose_trunk_is_down() -> None:
    rows = interfaces(scanned("lowerlayerdown"))
    assert [row["problem"] for row in rows if "problem" in row] == [
        "ens6 is lowerlayerdown",
        "ens7 is down",
        "the trunk ens6 is lowerlayerdown",
    ]


def test_the_default_route(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    line = "{}\t{}\t0101A8C0\t0003\t0\t0\t{}\t00000000\t0\t0\t0\n"
    routes.write_text(head + line.format("b0", "00000000", 200) + line.format("b1", "00000000", 100))
    assert default_interface(str(routes)) == "b1"
    routes.write_text(head + "short\n")
    assert default_interface(str(routes)) is None
    assert default_interface(str(tmp_path / "none")) is None


class Known:
    """A source that knows every MAC, or none."""

    name, gives, past = "docker", frozenset(("task_arn",)), False

    def __init__(self, *, fails: bool = False) -> None:
        self.asked = 0
        self._fails = fails

    def ask(self, association: Fields) -> Fields:
        assert association["netns_inode"]
        self.asked += 1
        if self._fails:
            raise Unavailable("Docker does not answer")
        return {"task_family": "api", "eni_id": "eni-00000000000000001", "branch_mac": "ff:ff:ff:ff:ff:ff"}


def test_sources_add_what_is_not_known_and_are_not_asked_again_once_they_fail() -> None:
    rows = interfaces(scanned())
    imds = Imds(env={"AWS_EC2_METADATA_DISABLED": "true"})
    broken, working = Known(fails=True), Known()
    problems = identify(rows, [broken, working], imds)
    assert [row.get("task_family") for row in rows] == [None, None, None, "api", "api"]
    assert rows[3]["branch_mac"] == "0a:00:00:00:01:01"
    assert (broken.asked, working.asked) == (1, 2)
    assert len(problems) == 2
    assert problems[0].startswith("the metadata service is disabled")
