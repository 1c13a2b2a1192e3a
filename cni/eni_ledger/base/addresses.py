"""Addresses and identifiers in the one form in which the ledger has them. Standard library only: on the ADD path."""

from __future__ import annotations

import _socket

_HEX = frozenset("0123456789abcdef")
_VLAN_ID_MAX = 4094
_TEXT_MAX = 255  # a longer text is no number that a caller meant


def cidr(value: object) -> str | None:
    """Return an address with prefix length in its canonical form, None for what is none."""
    if not isinstance(value, str):
        return None
    address, slash, prefix = value.partition("/")
    canonical = ip(address)
    if canonical is None or not slash or not (prefix.isascii() and prefix.isdecimal() and len(prefix) <= 3):
        return None
    return f"{canonical}/{int(prefix)}" if int(prefix) <= (128 if ":" in canonical else 32) else None


def ip(value: object) -> str | None:
    """Return an IP address in its canonical form, None for what is none."""
    if isinstance(value, str) and value.isascii():
        for family in (_socket.AF_INET, _socket.AF_INET6):
            try:
                return _socket.inet_ntop(family, _socket.inet_pton(family, value))
            except (OSError, ValueError):
                continue
    return None


def mac_text(value: object) -> str | None:
    """Return a MAC in the kernel's form, `0a:1b:...` in lower case, None for what is none.

    It may be written as Go's `net.ParseMAC` takes it: with colons, with hyphens, or as `0a1b.2c3d.0001`.
    """
    if not isinstance(value, str):
        return None
    text = value.lower()
    if len(text) == 14 and text[4::5] == "..":
        text = ":".join(group[at : at + 2] for group in text.split(".") for at in (0, 2))
    octets = text.replace("-", ":").split(":")
    fine = len(octets) == 6 and all(len(octet) == 2 and _HEX.issuperset(octet) for octet in octets)
    return ":".join(octets) if fine else None


def vlan_number(value: object) -> int | None:
    """Return the VLAN ID, 0 to 4094, that a text is to Go's `strconv.Atoi`: `101`, `+101`, `00101`. None for none."""
    if not isinstance(value, str) or not value.isascii() or len(value) > _TEXT_MAX:
        return None
    digits = value[1:] if value[:1] == "+" else value
    number = int(digits) if digits.isdecimal() else -1
    return number if 0 <= number <= _VLAN_ID_MAX else None


def eni_id(value: object) -> str | None:
    """Return an ENI ID (`eni-` and 8 or 17 hex digits), None for what is none."""
    if isinstance(value, str) and value.startswith("eni-") and len(value) in (12, 21) and _HEX.issuperset(value[4:]):
        return value
    return None
