"""Add eni-ledger to a CNI conflist, and remove it; the other bytes of the file stay the same."""

from __future__ import annotations

import json
import re
from typing import Any

from eni_ledger.base.errors import InstallError

TYPE = "eni-ledger"
SUFFIX = ".conflist"
_WHITE_SPACE = re.compile(r"[ \t\n\r]*")
FRAGMENT: dict[str, Any] = {"type": TYPE}


def read_as_list(path: str) -> None:
    """Raise InstallError if runtimes do not read a file of this name as a list of plugins (libcni, conf.go)."""
    if not path.endswith(SUFFIX):
        raise InstallError(
            f"runtimes read a list of plugins from files named {SUFFIX} only",
            path,
            f"rename it to {path.rpartition('/')[2].partition('.')[0]}{SUFFIX} first, if the runtime is to use it",
        )


def has_plugin(text: str, path: str) -> bool:
    """Tell whether eni-ledger is in the chain. Raises InstallError if `text` is no conflist."""
    return any(isinstance(plugin, dict) and plugin.get("type") == TYPE for plugin in _plugins(text, path))


def add(text: str, path: str) -> str:
    """Return the conflist with eni-ledger as its last plugin. Raises InstallError if it is no conflist."""
    if not _plugins(text, path):
        raise InstallError("this conflist has no plugin after which eni-ledger could come", path)
    spans = _spans(text)
    last = spans[-1][1]
    if len(spans) > 1:
        between = text[spans[-2][1] : spans[-1][0]]  # a comma, and the white space of this file
    else:
        opening = text.rindex("[", 0, spans[0][0])
        between = "," + (text[opening + 1 : spans[0][0]] or " ")
    return text[:last] + between + json.dumps(FRAGMENT) + text[last:]


def take_out(text: str, path: str) -> str:
    """Return the conflist without eni-ledger, at whatever place in the chain. Raises InstallError as `add`."""
    while has_plugin(text, path):
        spans = _spans(text)
        is_ours = [isinstance(plugin, dict) and plugin.get("type") == TYPE for plugin in _plugins(text, path)]
        at = is_ours.index(True)
        if at > 0:
            text = text[: spans[at - 1][1]] + text[spans[at][1] :]
        elif len(spans) > 1:
            text = text[: spans[0][0]] + text[spans[1][0] :]
        else:
            text = text[: spans[0][0]] + text[spans[0][1] :]
    return text


def _plugins(text: str, path: str) -> list[Any]:
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise InstallError("this conflist is not JSON", f"{path}: {exc}") from exc
    plugins = value.get("plugins") if isinstance(value, dict) else None
    if not isinstance(plugins, list):
        hint = 'a configuration of a single plugin (.conf) becomes a conflist with "plugins": [...] around it'
        raise InstallError("this is no conflist: it has no list of plugins", path, hint)
    return plugins


def _spans(text: str) -> list[tuple[int, int]]:
    """Return start and end of each member of the top-level list `plugins`; of several such keys the last counts."""
    decoder = json.JSONDecoder()
    spans: list[tuple[int, int]] = []
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] == '"':
        key, at = decoder.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)  # the colon
        _, end = decoder.raw_decode(text, at)
        if key == "plugins" and text[at] == "[":  # an earlier one may be anything
            spans = []
            at = _skip(text, at + 1)
            while text[at] != "]":
                _, after = decoder.raw_decode(text, at)
                spans.append((at, after))
                at = _skip(text, after)
                if text[at] == ",":
                    at = _skip(text, at + 1)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return spans


def _skip(text: str, at: int) -> int:
    match = _WHITE_SPACE.match(text, at)
    return match.end() if match else at
