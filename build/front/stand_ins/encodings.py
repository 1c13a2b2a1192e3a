"""The front door's `encodings`: the codecs that the interpreter and eni-ledger look up.

`str.encode` and `bytes.decode` know UTF-8, ASCII and Latin-1 by themselves. The real package imports `codecs` with its
classes and has a table of 300 aliases: half a millisecond.
"""

from _codecs import register, unicode_escape_decode, unicode_escape_encode, utf_8_decode, utf_8_encode


class CodecInfo(tuple):
    """The functions of a codec, as a search function returns them; `name` is read of the file system's codec."""

    name = "utf-8"


CODECS = {
    "utf_8": CodecInfo((utf_8_encode, utf_8_decode, None, None)),
    "unicode_escape": (unicode_escape_encode, unicode_escape_decode, None, None),
}


def search(name):
    """Return the codec of this name, None if there is none."""
    return CODECS.get(name.replace("-", "_"))


register(search)
