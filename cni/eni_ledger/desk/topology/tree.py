"""The picture as a tree of text: levels while there are few branches, one line for each when there are many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eni_ledger.desk.topology import words
from eni_ledger.desk.topology.picture import branches
from eni_ledger.render.text import counted, safe

FEW = 24
"""Up to so many attachments each is shown with all its levels, which takes some five lines."""
NARROW = 80
_OWNER_MIN, _NAMES_MIN = 12, 18

_UNICODE = ("├─ ", "└─ ", "│  ", "   ", "…")
_ASCII = ("|- ", "`- ", "|  ", "   ", "~")


class TreeLines:
    """Lines of a tree. `width` is the number of columns, None for as many as it takes; `unicode` allows box drawing."""

    def __init__(self, width: int | None, *, unicode: bool = True) -> None:
        self._width = width
        self._fork, self._last, self._bar, self._blank, self._more = _UNICODE if unicode else _ASCII

    def lines(self, picture: dict[str, Any]) -> Iterator[str]:
        """Yield the lines of a picture."""
        many = len(branches(picture)) > FEW
        for host in picture["hosts"]:
            yield self._fit(f"{words.host_name(host)}  {words.type_words(host)}")
            parts = [*host["trunks"], *_groups(host)]
            for number, part in enumerate(parts):
                first, rest = self._limbs(number, len(parts))
                yield from self._part(host, part, first, rest, many=many)
        if many:
            yield f"{counted(len(branches(picture)), 'attachment')}, a line for each; -o html shows all levels"

    def _part(self, host: dict[str, Any], part: dict[str, Any], first: str, rest: str, *, many: bool) -> Iterator[str]:
        """Yield a trunk, or another group of attachments, and what hangs on it."""
        if "title" in part:
            yield self._fit(f"{first}{part['title']}")
        else:
            yield self._fit(f"{first}trunk {words.trunk_name(part)}")
            yield self._fit(f"{rest}{words.vlan_words(part, host)}")
        nodes = part["branches"]
        if many:
            yield from self._rows(nodes, rest)
            return
        for number, node in enumerate(nodes):
            fork, below = self._limbs(number, len(nodes))
            yield from self._levels(node, rest + fork, rest + below)

    def _levels(self, node: dict[str, Any], first: str, rest: str) -> Iterator[str]:
        """Yield an attachment, its namespace and its containers, a level each."""
        vlan = f"VLAN {safe(node['vlan_id'])}" if node["vlan_id"] is not None else safe(node["ifname"])
        known = [vlan, *(safe(node[key]) for key in ("eni_id", "mac") if node[key]), *words.ips(node)]
        mark = f"  ! {', '.join(map(safe, node['mismatch']))}" if node["mismatch"] else ""
        yield self._fit(first + "  ".join(filter(None, known)) + mark)
        space = node["namespace"]
        named = [f"netns {safe(space['inode']) or safe(space['path']) or words.NOT_KNOWN}", words.owner(node)]
        if space["pid"] is not None:
            named.append(f"pid {safe(space['pid'])}")
        yield self._fit(f"{rest}{self._last}{'  '.join(named)}")
        inside = words.pause(node)
        if node["containers"]:
            inside += [words.container(one) for one in node["containers"]]
        else:
            inside.append(words.containers(node))
        for number, text in enumerate(inside):
            yield self._fit(rest + self._blank + self._limbs(number, len(inside))[0] + text)

    def _rows(self, nodes: list[dict[str, Any]], rest: str) -> Iterator[str]:
        """Yield a line for each attachment, in columns; the owner's column gives way to the width."""
        head = ["VLAN", "IP", "TASK", "NETNS", "CONTAINERS"]
        rows = [[*map(str, _cells(node))] for node in nodes]
        wide = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head) - 1)]
        room = (
            (self._width or 10_000)
            - len(rest)
            - 3
            - sum(wide)
            - 2 * len(wide)
            - max(len(head[-1]), min(_NAMES_MIN, max(len(row[-1]) for row in rows)))
        )
        if room < 0:
            wide[2] = max(_OWNER_MIN, wide[2] + room)
        yield self._fit(rest + self._blank + self._row(head, wide)).rstrip()
        for number, row in enumerate(rows):
            yield self._fit(rest + self._limbs(number, len(rows))[0] + self._row(row, wide)).rstrip()

    def _row(self, cells: list[str], wide: list[int]) -> str:
        vlan, *middle = [self._cut(cell, width) for cell, width in zip(cells[:-1], wide, strict=True)]
        padded = [text.ljust(width) for text, width in zip(middle, wide[1:], strict=True)]
        return "  ".join([vlan.rjust(wide[0]), *padded, cells[-1]])

    def _limbs(self, number: int, count: int) -> tuple[str, str]:
        return (self._fork, self._bar) if number + 1 < count else (self._last, self._blank)

    def _fit(self, line: str) -> str:
        return line if self._width is None else self._cut(line, self._width)

    def _cut(self, text: str, width: int) -> str:
        return text if len(text) <= width else text[: width - 1] + self._more


def _cells(node: dict[str, Any]) -> tuple[str, ...]:
    vlan = f"{safe(node['vlan_id']) or '-'}{'!' if node['mismatch'] else ''}"
    known = words.NOT_KNOWN
    if node["containers"] is not None:
        known = ", ".join(map(words.container_name, node["containers"])) or "none"
    return vlan, words.ip(node), words.owner(node), safe(node["namespace"]["inode"]) or "-", known


def _groups(host: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what hangs on no trunk."""
    if host["enis"]:
        yield {"title": "whole ENIs", "branches": host["enis"]}
    if host["others"]:
        yield {"title": "other attachments", "branches": host["others"]}
