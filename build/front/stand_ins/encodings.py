"""`encodings` as the front door has it: what the interpreter and our code look up.

`str.encode` and `bytes.decode` know UTF-8, ASCII and Latin-1 by themselves. The real package imports `codecs` with its
classes and has a table of 300 aliases: half a millisecond.
"""

from _codecs import register, unicode_escape_decode, unicode_escape_encode, utf_8_decode, utf_8_encode


class CodecInfo(tuple):
    """What a search function returns: the codec's functions; `name` is read of the one that file names are in."""

    name = "utf-8"


CODECS = {
    "utf_8": CodecInfo((utf_8_encode, utf_8_decode, None, None)),
    "unicode_escape": (unicode_escape_encode, unicode_escape_decode, None, None),
}


def search(name):
    """The codec of this name; None if there is none."""
    return CODECS.get(name.replace("-", "_"))


register(search)
