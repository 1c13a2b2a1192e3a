"""What can be asked for: an address, a tag, a name; and which associations it fits."""

from __future__ import annotations

from eni_ledger.errors import UsageError
from eni_ledger.ledger import keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv6Address
    from typing import Any

# What takes a regular expression is rarely asked for, and `re` is as much to load as all of the ledger.
_VLAN = r"(?ai)vlan(?:[\s_-]*id)?[\s:=#_-]*([0-9]{1,9})"
_LIKE_IPV4 = r"[0-9]+(?:\.[0-9]*)+(?:/[0-9]*)?"
_DIGITS = frozenset("0123456789")
_HEX = _DIGITS | frozenset("abcdef")
_WORD = _DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NAME = _WORD | frozenset("_.-")
_PLAIN = _NAME | frozenset(":/")
HIGHEST_VLAN_ID = 4094
_SHORTEST_START = 6

EXAMPLES = "an IP, a MAC, a VLAN ID, eni-..., a container ID or its start, a task ARN or ID, a netns inode or path"

NOT, ASSOCIATION_START, START, EXACT = range(4)
"""How well an association fits: not at all, by the start of its own ID, by the start of a container ID, exactly."""


class Query:
    """One thing to look for. `kind` says what it was taken for: ip mac eni association number vlan netns path task
    name.

    A number is a VLAN ID, a netns inode or, from six digits on, the start of a container ID; a name is a container ID,
    its start, or a task ID. From eight hex digits on both may be the start of an association ID, as tables print it.
    Raises UsageError for a text that can be none of them.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.kind, self._value = _classify(self.text)

    def matches(self, association: dict[str, Any]) -> bool:
        """Tell whether an association may be one that was asked for; of several, `best` says which."""
        return self._fit(association) > NOT

    def ranges(self) -> list[keys.Range]:
        """Return the ranges of keys that an index has for every event of an association that may be one asked for."""
        value = self._value
        if self.kind == "number":
            low, high = keys.name(value)  # a short one is not meant as the beginning of a name
            return [keys.exact("number", int(value)), (low, high if len(value) >= _SHORTEST_START else low)]
        if self.kind == "name":
            return [keys.name(value)]
        if self.kind == "association":
            return [keys.association(value)]
        if self.kind in ("vlan", "netns"):
            return [keys.exact("number", value)]
        if self.kind == "task":
            return [keys.name(keys.task_id(value))]
        return [keys.exact(self.kind, value)]

    def literal(self) -> bytes | None:
        """Return what is in every line of a writer's that tells of an association that fits; None when nothing is."""
        value = str(self._value)
        if self.kind in ("mac", "path") or (self.kind == "ip" and ":" in value):
            return None  # they can be written in several ways
        if self.kind == "number" and value.startswith("0"):
            return None  # as a VLAN ID it has no zeros before it
        return value.encode() if value and _PLAIN.issuperset(value) else None

    def best(self, found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those that fit best: a whole ID is not meant as the start of others."""
        fits = [(self._fit(one), one) for one in found]
        most = max((fit for fit, _ in fits), default=NOT)
        return [one for fit, one in fits if fit == most > NOT]

    def _fit(self, association: dict[str, Any]) -> int:
        value = self._value
        if self.kind in ("number", "name"):
            return self._fit_of_name(association)
        if self.kind == "ip":
            fits = any(_same_ip(address, value) for address in association.get("addresses") or ())
        elif self.kind == "mac":
            macs = (association.get(key) for key in ("branch_mac", "observed_mac", "trunk_mac"))
            fits = any(str(mac or "").lower() == value for mac in macs)
        elif self.kind == "eni":
            fits = value in (association.get("eni_id"), association.get("trunk_eni_id"))
        elif self.kind == "association":
            fits = str(association["association_id"]).startswith(value)
        elif self.kind == "path":
            fits = keys.netns_path(str(association.get("netns") or "")) == value
        else:
            key = {"task": "task_arn", "vlan": "vlan_id", "netns": "netns_inode"}[self.kind]
            fits = association.get(key) == value
        return EXACT if fits else NOT

    def _fit_of_name(self, association: dict[str, Any]) -> int:
        value = self._value
        container = str(association.get("container_id", ""))
        task = str(association.get("task_arn") or "").rpartition("/")[2]
        numbers = (association.get("vlan_id"), association.get("netns_inode"))
        if value in (container, task) or (self.kind == "number" and int(value) in numbers):
            return EXACT
        if self.kind == "number" and len(value) < _SHORTEST_START:
            return NOT  # a VLAN ID is not meant as the start of every tenth container ID
        if container.startswith(value):
            return START
        bare = _is_hex(value, 8)
        return ASSOCIATION_START if bare and association["association_id"].startswith(f"assoc-{value}") else NOT


def _classify(text: str) -> tuple[str, Any]:
    """Return what `text` is taken for and its normal form. Raises UsageError."""
    if _is_ipv4(text):
        return "ip", text
    if _is_mac(text):
        return "mac", text.lower().replace("-", ":")
    if text.startswith("eni-"):
        if _is_hex(text[4:], 8):
            return "eni", text
        raise UsageError("not an ENI ID", f"{text!r:.80}", "an ENI ID is eni- and 8 or 17 hex digits")
    if text.startswith("assoc-") and _is_hex(text[6:], 1):
        return "association", text
    if text.startswith("arn:"):
        return "task", text
    if text.startswith("/"):
        return "path", keys.netns_path(text)
    if _is_number(text):
        return "number", text
    if text.startswith("net:[") and text.endswith("]") and _is_number(text[5:-1]):
        return "netns", int(text[5:-1])
    if _is_name(text) and "." not in text and not text.lower().startswith("vlan"):
        return "name", text
    return _classify_word(text)


def _classify_word(text: str) -> tuple[str, Any]:
    """Do so with what is less often asked for, and takes more to tell."""
    import ipaddress
    import re

    if found := re.fullmatch(_VLAN, text):
        return "vlan", _vlan_id(int(found[1]), text)
    try:
        address = ipaddress.ip_interface(text).ip
        return "ip", str(address) if address.version == 4 else address
    except ValueError:
        pass
    if re.fullmatch(_LIKE_IPV4, text):
        raise UsageError("not an IP address", f"{text!r:.80}", "an IPv4 address is four numbers up to 255: 10.0.32.4")
    if _is_name(text):
        return "name", text
    raise UsageError("that cannot be looked for", f"{text!r:.80}", f"give {EXAMPLES}")


def _is_hex(text: str, least: int) -> bool:
    """Tell whether `text` is `least` to 17 lower-case hex digits."""
    return least <= len(text) <= 17 and _HEX.issuperset(text)


def _is_name(text: str) -> bool:
    return text[:1] in _WORD and _NAME.issuperset(text)


def _is_number(text: str) -> bool:
    return 1 <= len(text) <= 20 and _DIGITS.issuperset(text)


def _is_mac(text: str) -> bool:
    """Tell whether `text` is six pairs of hex digits with `:` or with `-` between them."""
    pairs = text[0::3] + text[1::3]
    return len(text) == 17 and text[2::3] in (":::::", "-----") and _HEX.issuperset(pairs.lower())


def _is_ipv4(text: str) -> bool:
    """Tell whether `text` is an IPv4 address as it is written everywhere: no zeros before a number, no prefix."""
    parts = text.split(".")
    return len(parts) == 4 and all(
        1 <= len(part) <= 3 and _DIGITS.issuperset(part) and int(part) <= 255 and (part[0] != "0" or part == "0")
        for part in parts
    )


def _vlan_id(value: int, text: str) -> int:
    if not 1 <= value <= HIGHEST_VLAN_ID:
        raise UsageError("not a VLAN ID", f"{text!r:.80}", f"VLAN IDs are 1 to {HIGHEST_VLAN_ID}")
    return value


def _same_ip(address: str, wanted: str | IPv6Address) -> bool:
    text = address.partition("/")[0]
    if isinstance(wanted, str):  # IPv4 has one way to be written, and this is asked of every association there was
        return text == wanted
    if ":" not in text:
        return False
    import ipaddress

    try:
        return ipaddress.ip_interface(address).ip == wanted
    except ValueError:
        return False
