"""The ways to write addresses, MACs, IDs and names, and the form in which they are compared.

Imports inside functions: `re` and `ipaddress` take longer to load than a plain question takes.
"""

from __future__ import annotations

from eni_ledger.base.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv6Address
    from typing import Any

_SHORT_MAC = r"(?ai)[0-9a-f]{1,2}(?:[:-][0-9a-f]{1,2}){5}"
_BITS = 32
_MAPPED = 96
_DIGITS = frozenset("0123456789")
_HEX = _DIGITS | frozenset("abcdef")
_WORD = _DIGITS | frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NAME = _WORD | frozenset("_.-")
_START_OF_ID = _HEX | frozenset("-")
HIGHEST_VLAN_ID = 4094


def bare_mac(text: str) -> str | None:
    """Return the MAC that twelve hex digits may be, None for any other text."""
    digits = text.strip().lower()
    return ":".join(digits[n : n + 2] for n in range(0, 12, 2)) if len(digits) == 12 and is_hex(digits, 12) else None


def is_hex(text: str, least: int, most: int = 17) -> bool:
    """Tell whether `text` is `least` to `most` lower-case hex digits."""
    return least <= len(text) <= most and _HEX.issuperset(text)


def short_mac(text: str) -> str | None:
    """Return a MAC in which zeros before a digit may be left out, None for any other text."""
    import re

    if not re.fullmatch(_SHORT_MAC, text):
        return None
    return ":".join(pair.rjust(2, "0") for pair in re.split("[:-]", text.lower()))


def address_of(text: str) -> str | IPv6Address | None:
    """Return the address that `text` stands for, as text for IPv4; None when it is none.

    It may be in brackets, have a zone (RFC 4007), or be IPv4 mapped to IPv6 (RFC 4291, 2.5.5.2).
    """
    if is_ipv4(text):
        return text
    import ipaddress

    plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        found = ipaddress.ip_address(plain.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else found
    return found if isinstance(found, ipaddress.IPv6Address) and mapped is None else str(mapped)


def number_of(ipv4: str) -> int:
    """Return an IPv4 address in dotted form as a number."""
    a, b, c, d = ipv4.split(".")
    return int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)


def dotted(number: int) -> str:
    """Return the dotted form of an IPv4 address."""
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def cidr_of(text: str) -> tuple[Any, Any, Any] | None:
    """Return the network that `text` stands for as its address, its first and its last address; None when it is none.

    The address is as `address_of` returns it. First and last are numbers for IPv4 and `IPv6Address` for IPv6, so that
    the two are never mixed up. Raises UsageError for a network with host bits.
    """
    address, _, length = text.partition("/")
    if is_ipv4(address) and is_number(length) and int(length) <= _BITS:
        mask = (1 << _BITS - int(length)) - 1
        low = number_of(address)
        if not low & mask:
            return address, low, low | mask
    import ipaddress

    plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        found = ipaddress.ip_interface(plain)
    except ValueError:
        return None
    network = found.network
    if found.ip != network.network_address:
        raise UsageError("a CIDR with host bits", f"'{text:.80}'", f"{network} is the network, {found.ip} the address")
    first, last = network[0], network[-1]
    if isinstance(first, ipaddress.IPv6Address):
        if (mapped := first.ipv4_mapped) is None or found.network.prefixlen < _MAPPED:
            return first, first, last
        return str(mapped), int(mapped), int(mapped) + found.network.num_addresses - 1
    return str(first), int(first), int(last)


def eni_id(eni: str, text: str) -> str:
    """Return an ENI ID. Raises UsageError, which names `text`, if `eni` is none."""
    if eni[:4] != "eni-" or not is_hex(eni[4:], 8):
        raise UsageError("not an ENI ID", f"{text!r:.80}", "an ENI ID is eni- and 8 or 17 hex digits")
    return eni


def mac_of(text: str) -> str | None:
    """Return six pairs with `:` or `-`, or `0a36.bf4e.577e`, as a MAC in lower case with colons, None for others."""
    if len(text) == 17 and text[2::3] in (":::::", "-----"):
        found = text.lower().replace("-", ":")
        return found if _HEX.issuperset(found[0::3] + found[1::3]) else None
    if len(text) == 14 and text[4::5] == "..":
        return bare_mac(text.replace(".", ""))
    return None


def is_name(text: str) -> bool:
    """Tell whether `text` may be the name of a container, family, service, cluster or host."""
    return text[:1] in _WORD and _NAME.issuperset(text)


def is_number(text: str) -> bool:
    """Tell whether `text` is a decimal number of at most 20 digits."""
    return 1 <= len(text) <= 20 and _DIGITS.issuperset(text)


def is_start_of_id(text: str) -> bool:
    """Tell whether `text` may be the start of a task ID: hex digits, with dashes in the older form."""
    return bool(text) and _START_OF_ID.issuperset(text)


def is_ipv4(text: str) -> bool:
    """Tell whether `text` is an IPv4 address as it is written everywhere: no zeros before a number, no prefix."""
    parts = text.split(".")
    return len(parts) == 4 and all(
        1 <= len(part) <= 3 and _DIGITS.issuperset(part) and int(part) <= 255 and (part[0] != "0" or part == "0")
        for part in parts
    )


def vlan_id(value: int, text: str) -> int:
    """Return a VLAN ID. Raises UsageError, which names `text`, if `value` is none."""
    if not 1 <= value <= HIGHEST_VLAN_ID:
        raise UsageError("not a VLAN ID", f"{text!r:.80}", f"VLAN IDs are 1 to {HIGHEST_VLAN_ID}")
    return value
