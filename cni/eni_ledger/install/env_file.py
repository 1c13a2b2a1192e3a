"""The agent's environment file, `/etc/ecs/ecs.config`: read it as the agent does, change one line, restore it.

Source: amazon-ecs-init (`ecs-init/docker/docker.go`, getEnvVars). Lines end with LF; white space around a line is
dropped; the key is everything before the first ``=``, the value everything after it, quotes included; a later line
overrides an earlier one. A comment is a line with a key that has no meaning. Bytes that are not UTF-8 are kept.
Booleans are those of Go's strconv.ParseBool (`agent/config/parse.go`).
"""

from __future__ import annotations

import hashlib
from typing import Any

# unicode.IsSpace of Go; Python's str.strip() strips four characters more.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

# Go, strconv.ParseBool: the texts of true and of false; every other text is an error.
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


def text_of(data: bytes) -> str:
    """Return bytes as text from which `bytes_of` makes the same bytes again."""
    return data.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Return the bytes that `text_of` was given."""
    return text.encode("utf-8", "surrogateescape")


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data`, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def value_of(line: str, key: str) -> str | None:
    """Return the value that `line` assigns to `key`, None if it assigns none."""
    name, equals, value = line.strip(_SPACE).partition("=")
    return value if equals and name == key else None


def variables(data: bytes) -> dict[str, str]:
    """Return every key of the file with the value that the agent uses."""
    pairs = (line.strip(_SPACE).partition("=") for line in text_of(data).split("\n"))
    return {name: value for name, equals, value in pairs if equals}


def effective(data: bytes, key: str) -> str | None:
    """Return the value of `key` that the agent uses from the file, None if no line assigns one."""
    return variables(data).get(key)


def boolean(value: str) -> bool | None:
    """Return a boolean setting as the agent parses it; None for other text, for which the agent uses its default."""
    text = value.strip(_SPACE)
    return True if text in _TRUE else False if text in _FALSE else None


def assign(data: bytes, key: str, value: str) -> tuple[bytes, dict[str, Any]]:
    """Return the file with `key` set to `value`, and the record with which `withdraw` undoes that.

    The effective line is replaced in place; without one, a line is appended. No other line changes.
    """
    lines = text_of(data).split("\n")
    at = _last(lines, key)
    if at is not None:
        undo: dict[str, Any] = {"replaced": lines[at]}
        lines[at] = f"{key}={value}" + ("\r" if lines[at].endswith("\r") else "")
        after = bytes_of("\n".join(lines))
    else:
        end = "\r\n" if b"\r\n" in data else "\n"
        separator = "" if not data or data.endswith(b"\n") else end
        # systemd reads the file as well, and joins a line that ends with a backslash to the next one.
        if data.rstrip(b"\r\n").endswith(b"\\"):
            separator += end
        undo = {"separator": separator}
        after = data + bytes_of(f"{separator}{key}={value}{end}")
    return after, {**undo, "value": value, "after": sha256(after)}


def withdraw(data: bytes, key: str, undo: dict[str, Any]) -> bytes:
    """Return the file without the change of `assign`; other changes made since are kept.

    A file in which `key` has another value by now is returned unchanged: the operator set it.
    """
    ours = undo["value"]
    lines = text_of(data).split("\n")
    at = _last(lines, key)
    if at is None or value_of(lines[at], key) != ours:
        return data
    exact = sha256(data) == undo.get("after")
    if "replaced" in undo:
        lines[at] = undo["replaced"]
    else:
        del lines[at]
    if not exact:
        # Copies of our line go too: the directory that they name is removed.
        kept = undo.get("replaced")
        lines = [line for line in lines if line == kept or value_of(line, key) != ours]
    text = "\n".join(lines)
    separator = undo.get("separator", "")
    if separator and at == len(lines) - 1 and text.endswith(separator):
        text = text[: -len(separator)]
    return bytes_of(text)


def _last(lines: list[str], key: str) -> int | None:
    """Return the index of the effective line for `key`, None if no line assigns it."""
    return next((at for at in reversed(range(len(lines))) if value_of(lines[at], key) is not None), None)
