"""What can be asked for: an address, a tag, a name; and which associations it fits."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from eni_ledger.errors import UsageError

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2}")
_ENI = re.compile(r"eni-[0-9a-f]{8,17}")
_ASSOCIATION = re.compile(r"assoc-[0-9a-f]{1,17}")
_NUMBER = re.compile(r"[0-9]{1,20}")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
HIGHEST_VLAN_ID = 4094

EXAMPLES = "an IP, a MAC, a VLAN ID, eni-..., a container ID or its start, a task ARN or ID, a netns inode"


class Query:
    """One thing to look for. `kind` says what it was taken for: ip mac eni association number task name.

    A number is a VLAN ID, a netns inode or, from six digits on, the start of a container ID; a name is a container ID,
    its start, or a task ID. Raises UsageError for a text that can be none of them.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.kind, self._value = _classify(self.text)

    def matches(self, association: dict[str, Any]) -> bool:
        """Tell whether an association is one that was asked for."""
        value = self._value
        if self.kind == "ip":
            return any(_same_ip(address, value) for address in association.get("addresses") or ())
        if self.kind == "mac":
            return any(
                str(association.get(key, "")).lower() == value for key in ("branch_mac", "observed_mac", "trunk_mac")
            )
        if self.kind == "eni":
            return value in (association.get("eni_id"), association.get("trunk_eni_id"))
        if self.kind == "association":
            return str(association["association_id"]).startswith(value)
        if self.kind == "task":
            return bool(association.get("task_arn") == value)
        if self.kind == "number" and int(value) in (association.get("vlan_id"), association.get("netns_inode")):
            return True
        if self.kind == "number" and len(value) < 6:
            return False  # a VLAN ID is not meant as the start of every tenth container ID
        task = str(association.get("task_arn") or "").rpartition("/")[2]
        return str(association.get("container_id", "")).startswith(value) or (bool(task) and task == value)


def _classify(text: str) -> tuple[str, Any]:
    """Return what `text` is taken for and its normal form. Raises UsageError."""
    if _MAC.fullmatch(text):
        return "mac", text.lower().replace("-", ":")
    if text.startswith("eni-"):
        if _ENI.fullmatch(text):
            return "eni", text
        raise UsageError("not an ENI ID", f"{text!r:.80}", "an ENI ID is eni- and 8 or 17 hex digits")
    if _ASSOCIATION.fullmatch(text):
        return "association", text
    if text.startswith("arn:"):
        return "task", text
    if _NUMBER.fullmatch(text):
        return "number", text
    try:
        return "ip", ipaddress.ip_interface(text).ip
    except ValueError:
        pass
    if _NAME.fullmatch(text):
        return "name", text
    raise UsageError("that cannot be looked for", f"{text!r:.80}", f"give {EXAMPLES}")


def _same_ip(address: str, wanted: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_interface(address).ip == wanted
    except ValueError:
        return False
