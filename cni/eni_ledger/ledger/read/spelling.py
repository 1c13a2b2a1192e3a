"""What a text that is asked for is taken for: its kind, and the form in which it is compared.

The same thing is written in several ways: an IPv4 address as IPv6, a MAC with dots, a namespace by the path that the
ECS agent's container has for it. What is not looked up is refused here, so that it is never answered "nobody".
"""

from __future__ import annotations

from eni_ledger.base.errors import UsageError
from eni_ledger.ledger.archive import index_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What takes a regular expression is rarely asked for, and `re` is as much to load as all of the ledger.
_VLAN = r"(?ai)vlan(?:[\s_-]*id)?[\s:=#_-]*([0-9]{1,9})"
_LIKE_IPV4 = r"[0-9]+(?:\.[0-9]*)+(?:/[0-9]*)?"
_SHORT_MAC = r"(?ai)[0-9a-f]{1,2}(?:[:-][0-9a-f]{1,2}){5}"
_REVISION = r"[A-Za-z0-9_-]{1,255}:[0-9]{1,10}"
_INSTANCE = r"m?i-[0-9a-f]{8,17}"
_DIGITS = frozenset("0123456789")
_HEX = _DIGITS | frozenset("abcdef")
_WORD = _DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NAME = _WORD | frozenset("_.-")
HIGHEST_VLAN_ID = 4094
_MARK = "!"
"""Stands behind a value in the tables when the kernel shows another one."""

EXAMPLES = (
    "an IP, a MAC, a VLAN ID, eni-..., a container or task ID or its start, a task ARN, a netns inode or path, "
    "a pause container's PID"
)


def classify(text: str) -> tuple[str, Any]:
    """Return the kind of what `text` stands for, see `Query`, and its normal form.

    Raises UsageError for what can be nothing of the kind, and for what is not looked up.
    """
    if text.endswith(_MARK):
        text = text[:-1]
    if _is_ipv4(text):
        return "ip", text
    if mac := _mac_of(text):
        return "mac", mac
    if text[:4].lower() == "eni-":
        return "eni", _eni(text.lower(), text)
    if text[:6].lower() == "assoc-" and is_hex(text[6:].lower(), 1):
        return "association", text.lower()
    if text.startswith("arn:"):
        return _of_arn(text)
    if text.startswith("/"):
        return "path", index_keys.netns_path(text)
    if _is_number(text):
        return "number", text
    if text.startswith("net:[") and text.endswith("]") and _is_number(text[5:-1]):
        return "netns", int(text[5:-1])
    if _is_name(text) and "." not in text and not text.lower().startswith("vlan"):
        return "name", text
    return _classify_word(text)


def bare_mac(text: str) -> str | None:
    """Return the MAC that twelve hex digits may be, None for any other text."""
    digits = text.strip().lower()
    return ":".join(digits[n : n + 2] for n in range(0, 12, 2)) if len(digits) == 12 and is_hex(digits, 12) else None


def is_hex(text: str, least: int, most: int = 17) -> bool:
    """Tell whether `text` is `least` to `most` lower-case hex digits."""
    return least <= len(text) <= most and _HEX.issuperset(text)


def is_id(text: str) -> bool:
    """Tell whether a name has the form of an ID, so that it is not what somebody called a family or a service."""
    if is_hex(text.rpartition("-")[2], 64, 64):
        return True
    digits = text.replace("-", "") if len(text) == len("00000000-0000-0000-0000-000000000000") else text
    return is_hex(digits, 8, 64) and not _DIGITS.isdisjoint(digits)


def not_looked_up(text: str) -> UsageError:
    """Return the error for a name that is no container's: it may be that of something that is not looked up."""
    import re

    kind = "names of families, services, clusters and trunks"
    if re.fullmatch(_INSTANCE, text):
        kind = "instance IDs"
    message = f"no container has this ID, and {kind} are not looked up yet"
    return UsageError(message, f"'{text:.80}'", f"give {EXAMPLES}")


def _classify_word(text: str) -> tuple[str, Any]:
    """Classify what is less often asked for, and takes more to tell."""
    import re

    if found := re.fullmatch(_VLAN, text):
        return "vlan", _vlan_id(int(found[1]), text)
    if re.fullmatch(_SHORT_MAC, text):
        return "mac", ":".join(pair.rjust(2, "0") for pair in re.split("[:-]", text.lower()))
    if address := _address(text):
        return "ip", address
    if re.fullmatch(_LIKE_IPV4, text):
        raise UsageError("not an IP address", f"{text!r:.80}", "an IPv4 address is four numbers up to 255: 10.0.32.4")
    if re.fullmatch(_REVISION, text):
        raise UsageError("families and their revisions are not looked up yet", f"'{text:.80}'", f"give {EXAMPLES}")
    if _is_name(text):
        return "name", text
    raise UsageError("that cannot be looked for", f"{text!r:.80}", f"give {EXAMPLES}")


def _address(text: str) -> Any:
    """Return the address that `text` stands for, as text for IPv4; None when it is none. Raises UsageError for a CIDR.

    It may be in brackets, have a zone (RFC 4007) or a prefix length, or be IPv4 mapped to IPv6 (RFC 4291, 2.5.5.2).
    """
    import ipaddress

    plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    plain, percent, zone = plain.partition("%")
    try:
        found = ipaddress.ip_interface(plain + zone[zone.find("/") :] if percent and "/" in zone else plain)
    except ValueError:
        return None
    # With one address or two in it there is no address of the network itself (RFC 3021, RFC 6164).
    if found.network.prefixlen < found.max_prefixlen - 1 and found.ip == found.network.network_address:
        hint = f"eni-ledger who {found.ip}, for the address alone"
        raise UsageError("CIDRs are not looked up yet", f"'{text:.80}'", hint)
    mapped = found.ip.ipv4_mapped if isinstance(found.ip, ipaddress.IPv6Address) else found.ip
    return found.ip if mapped is None else str(mapped)


def _of_arn(text: str) -> tuple[str, Any]:
    """Return what an ARN names: a task, a network interface. Raises UsageError for any other one."""
    if ":task/" in text:
        return "task", text
    _, found, eni = text.partition(":network-interface/")
    if found:
        return "eni", _eni(eni, text)
    raise UsageError(
        "only ARNs of tasks and of network interfaces are looked up yet", f"'{text:.80}'", f"give {EXAMPLES}"
    )


def _eni(eni: str, text: str) -> str:
    if eni[:4] != "eni-" or not is_hex(eni[4:], 8):
        raise UsageError("not an ENI ID", f"{text!r:.80}", "an ENI ID is eni- and 8 or 17 hex digits")
    return eni


def _mac_of(text: str) -> str | None:
    """Return six pairs with `:` or `-`, or `0a36.bf4e.577e`, as a MAC in lower case with colons, None for others."""
    if len(text) == 17 and text[2::3] in (":::::", "-----"):
        found = text.lower().replace("-", ":")
        return found if _HEX.issuperset(found[0::3] + found[1::3]) else None
    if len(text) == 14 and text[4::5] == "..":
        return bare_mac(text.replace(".", ""))
    return None


def _is_name(text: str) -> bool:
    return text[:1] in _WORD and _NAME.issuperset(text)


def _is_number(text: str) -> bool:
    return 1 <= len(text) <= 20 and _DIGITS.issuperset(text)


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
