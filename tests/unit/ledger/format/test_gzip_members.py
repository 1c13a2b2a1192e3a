"""Members of a packed segment: what a reader refuses to inflate."""

from __future__ import annotations

import struct
import zlib

import pytest

from eni_ledger.ledger.format import gzip_members


def stating(size: int, data: bytes = b"line\n") -> bytes:
    """Return a member that says it inflates to `size` bytes, with a check that is right."""
    raw = gzip_members.pack(data, 1, 0, 0)
    head = len(gzip_members.MAGIC)
    numbers, body = raw[head : head + 20], raw[head + 24 : -4] + struct.pack("<I", size)
    return raw[: head + 20] + struct.pack("<I", zlib.crc32(body, zlib.crc32(numbers))) + body


def test_a_member_is_what_was_packed() -> None:
    member, data = gzip_members.unpack(stating(5), 7)
    assert (data, member.at, member.length, member.line) == (b"line\n", 7, len(stating(5)), 1)


def test_a_member_may_be_of_256_mib_and_no_more() -> None:
    for size, reason in (((256 << 20) + 1, "too large"), (256 << 20, "not what was packed")):
        with pytest.raises(ValueError, match=reason):
            gzip_members.unpack(stating(size))
