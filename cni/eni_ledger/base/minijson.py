"""JSON on the C module alone: what `json` does, without paying for `json` and `re` on every ADD.

`json` costs about 6 ms of start-up, most of it `re`; `_json`, its C core, costs half a millisecond and does all the
work. This module is the missing glue. What it accepts is RFC 8259 and no more: no NaN, no Infinity, no comments.
"""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SPACE = " \t\n\r"
_SURROGATES = 0xD800 >> 11


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class _Rules:
    """The attributes that the C scanner reads from its context object."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_no_constant)


def _not_serialisable(value: object) -> None:
    raise TypeError(f"{type(value).__name__} has no JSON form")


# typeshed wants a make_scanner as the context of a make_scanner; the C code reads these attributes of anything.
_scan: Callable[[str, int], tuple[Any, int]] = _json.make_scanner(_Rules)  # type: ignore[arg-type]
# No dict of containers being written: the encoder does not empty it after an error, and then takes the next object at
# the same address for a cycle. A real cycle ends in RecursionError.
_encode: Callable[[Any, int], tuple[str, ...]] = _json.make_encoder(
    None, _not_serialisable, _json.encode_basestring, None, ":", ",", False, False, False
)


def _skip(text: str, at: int) -> int:
    """Return the index of the first character at or after `at` that is not JSON white space."""
    end = len(text)
    while at < end and text[at] in _SPACE:
        at += 1
    return at


def _value(text: str, at: int) -> tuple[Any, int]:
    """Scan one value at `at`; return it and the index after it. Raises ValueError with the character's index."""
    try:
        return _scan(text, at)
    except StopIteration as stop:
        raise ValueError(f"no JSON value at character {stop.value}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (ImportError, SystemError):  # the C scanner raises some errors by a class of `json`, which is not loaded
        raise ValueError(f"malformed JSON in the value at character {at}") from None


def loads(data: str | bytes) -> Any:
    """Return the value of a whole JSON document; raise ValueError for anything else, with the character's index.

    Bytes have to be UTF-8 (UnicodeDecodeError is a ValueError). Of repeated keys the last one counts, as in Go.
    """
    text = data if isinstance(data, str) else data.decode()
    value, at = _value(text, _skip(text, 0))
    at = _skip(text, at)
    if at != len(text):
        raise ValueError(f"something follows the JSON document at character {at}")
    return value


def members(text: str) -> list[tuple[str, Any, int, int]]:
    """Return `(key, value, start, end)` of each member of the JSON object that `text` is; the span is the value's.

    For callers that pass a member on byte for byte. Raises ValueError like `loads`.
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError(f"no JSON object at character {at}")
    out: list[tuple[str, Any, int, int]] = []
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        at += 1
    else:
        while True:
            if text[at : at + 1] != '"':
                raise ValueError(f"no key at character {at}")
            key, at = _value(text, at)
            at = _skip(text, at)
            if text[at : at + 1] != ":":
                raise ValueError(f"no colon at character {at}")
            start = _skip(text, at + 1)
            value, end = _value(text, start)
            out.append((key, value, start, end))
            at = _skip(text, end)
            sign = text[at : at + 1]
            if sign not in (",", "}"):
                raise ValueError(f"neither comma nor brace at character {at}")
            at = _skip(text, at + 1)
            if sign == "}":
                break
    at = _skip(text, at)
    if at != len(text):
        raise ValueError(f"something follows the JSON document at character {at}")
    return out


def dumps(value: Any) -> str:
    """Return `value` as compact JSON, characters beyond ASCII as they are, those that do not print as escapes.

    So a file of it can be shown on a terminal: the format and control characters of Unicode (categories Cc, Cf, Zl,
    Zp) move the cursor or turn the direction of what follows. With them go spaces that are not U+0020 and what Unicode
    has not assigned. A lone surrogate stays as it is. Raises TypeError, ValueError (NaN, cycles).
    """
    try:
        text = "".join(_encode(value, 0))
    except RecursionError:
        raise ValueError("nested too deeply, or within itself") from None
    if text.isascii():  # of control characters JSON itself escapes those below U+0020
        return text.replace("\x7f", "\\u007f")
    if text.isprintable():
        return text
    # A literal of a surrogate would cost each ADD half a millisecond: unmarshalling it takes the codecs' registry.
    return "".join(c if c.isprintable() or ord(c) >> 11 == _SURROGATES else escaped(c) for c in text)


def escaped(c: str) -> str:
    """Return one character as JSON escapes it (RFC 8259, section 7): a surrogate pair when it is beyond U+FFFF."""
    code = ord(c)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000  # own arithmetic: the front door has no codec for UTF-16
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
