"""Names for addresses and VLANs, as Wireshark reads them: the files `ethers`, `hosts` and `vlans` of a profile.

Source: "Files and Folders" in the Wireshark User's Guide. A line is an address (or a VLAN ID), white space, and a name;
`#` begins a comment. A name of a host or of a station has no white space; one of a VLAN may. What had several users in
the interval has a name that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from eni_ledger.desk.capture.timeline import IP, MAC, VLAN, is_mac, keys_of
from eni_ledger.desk.capture.words import label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association

HEADER = "# Made by eni-ledger names; it is written anew each time."
FILES = ("ethers", "hosts", "vlans")
_LONGEST = 63  # of Wireshark's 64 with the zero byte; DNS has the same limit
_NO_HOST = re.compile(r"[^A-Za-z0-9._-]+")
_NO_VLAN = re.compile(r"[^ -\"$-~]+")


def host_name(users: list[Association]) -> str:
    """Return a name without white space for an address that these had, one after the other."""
    return _shared([_NO_HOST.sub("-", label(one)).strip("-.") or "unnamed" for one in users], "-and-", "-more")


def vlan_name(users: list[Association]) -> str:
    """Return a name for a VLAN ID that these had, one after the other."""
    return _shared([" ".join(_NO_VLAN.sub("-", label(one)).split()) or "unnamed" for one in users], ", ", " more")


def _shared(names: list[str], between: str, more: str) -> str:
    """Return the name of one user; of several their number and as many as there is room for."""
    names = list(dict.fromkeys(names))
    if len(names) == 1:
        return _fit(names[0])
    space = between[-1]
    for shown in range(len(names), 0, -1):
        left = len(names) - shown
        text = f"{len(names)}{space}users:{space}" if space == " " else f"{len(names)}-users-"
        text += between.join(names[:shown]) + (f"{between}{left}{more}" if left else "")
        if len(text) <= _LONGEST:
            return text
    return _fit(f"{len(names)}{space}users{space}{names[0]}")


def _fit(name: str) -> str:
    """Return a name that is not too long; of a longer one both ends, for the task stands at the end."""
    return name if len(name) <= _LONGEST else f"{name[:40]}..{name[-(_LONGEST - 42) :]}"


class Users:
    """Who had each address and VLAN ID."""

    def __init__(self, associations: Iterable[Association] = ()) -> None:
        self._users: dict[tuple[str, object], list[Association]] = {}
        self._trunks: dict[str, str] = {}
        for association in associations:
            self.add(association)

    def add(self, association: Association) -> list[str]:
        """Take in one; return the IP addresses whose name is another one now."""
        changed = []
        if is_mac(trunk := str(association.get("trunk_mac")).lower()):
            name = str(association.get("trunk_eni_id") or association.get("trunk_ifname") or "")
            self._trunks[trunk] = _fit(_NO_HOST.sub("-", f"trunk-{name}").strip("-."))
        for key in keys_of(association):
            users = self._users.setdefault(key, [])
            if not any(one["association_id"] == association["association_id"] for one in users):
                users.append(association)
                if key[0] == IP:
                    changed.append(str(key[1]))
        return changed

    def host(self, address: str) -> str:
        """Return the name of an IP address that was added."""
        return host_name(self._users[IP, address])

    def files(self) -> dict[str, str]:
        """Return the text of each file."""
        lines: dict[str, list[tuple[object, str]]] = {name: [] for name in FILES}
        vlans: dict[int, list[Association]] = {}
        for (kind, value), users in self._users.items():
            if kind == VLAN and isinstance(value, tuple):
                vlans.setdefault(value[1], []).extend(users)
            elif kind in (MAC, IP):
                lines["ethers" if kind == MAC else "hosts"].append((value, f"{value}\t{host_name(users)}"))
        trunks = ((mac, name) for mac, name in self._trunks.items() if (MAC, mac) not in self._users)
        lines["ethers"] += [(mac, f"{mac}\t{name}") for mac, name in trunks]
        lines["vlans"] = [(number, f"{number}\t{vlan_name(users)}") for number, users in vlans.items()]
        return {
            name: "\n".join([HEADER, *(text for _, text in sorted(found, key=_order))]) + "\n"
            for name, found in lines.items()
        }


def _order(line: tuple[object, str]) -> tuple[int, str]:
    value, _ = line
    return (value, "") if isinstance(value, int) else (0, str(value))
