"""The picture in the languages of Graphviz (DOT) and Mermaid (flowchart).

Sources of the escapes: Graphviz, "The DOT language" (quoted strings) and `escString` (backslash); Mermaid, "Flowcharts"
(entity codes in quoted text). Mermaid draws at most 500 edges and reads at most 50,000 characters (`maxEdges`,
`maxTextSize`), which a page cannot raise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.topology import words
from eni_ledger.desk.topology.picture import branches
from eni_ledger.desk.topology.tree import FEW
from eni_ledger.render.text import safe

MERMAID_EDGES, MERMAID_CHARACTERS = 500, 50_000
_NAMES_MAX = 120


class _Graph:
    """Nodes with lines of text, and edges between them. `shape` says what a node stands for."""

    def __init__(self) -> None:
        self.nodes: list[tuple[str, str, list[str]]] = []  # name, shape, lines
        self.edges: list[tuple[str, str]] = []

    def node(self, shape: str, lines: list[str], parent: str | None = None) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append((name, shape, [line for line in lines if line]))
        if parent is not None:
            self.edges.append((parent, name))
        return name


def _graph(picture: dict[str, Any]) -> _Graph:
    """Return instance, trunks, branches and namespaces as a graph; of many branches one node each."""
    graph = _Graph()
    many = len(branches(picture)) > FEW
    for host in picture["hosts"]:
        root = graph.node("host", [words.host_name(host), words.type_words(host)])
        for trunk in host["trunks"]:
            about = [f"trunk {words.trunk_name(trunk)}", words.vlan_words(trunk, host)]
            _hang(graph, graph.node("trunk", about, root), trunk["branches"], many=many)
        for title, nodes in (("whole ENIs", host["enis"]), ("other attachments", host["others"])):
            if nodes:
                _hang(graph, graph.node("trunk", [title], root), nodes, many=many)
    return graph


def _hang(graph: _Graph, parent: str, nodes: list[dict[str, Any]], *, many: bool) -> None:
    for node in nodes:
        vlan = f"VLAN {safe(node['vlan_id'])}" if node["vlan_id"] is not None else safe(node["ifname"])
        names = words.containers(node)[:_NAMES_MAX]
        if many:
            graph.node("branch", [f"{vlan}  {words.ip(node)}", words.owner(node), names], parent)
            continue
        branch = graph.node("branch", [vlan, words.branch_name(node), *words.ips(node)], parent)
        inside = [words.owner(node), f"netns {safe(node['namespace']['inode']) or words.NOT_KNOWN}"]
        graph.node("netns", [*inside, *words.pause(node), names], branch)


def dot(picture: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a DOT file."""
    shapes = {"host": "box3d", "trunk": "cds", "branch": "box", "netns": "component"}
    graph = _graph(picture)
    yield "digraph topology {"
    yield '  graph [rankdir=LR, ranksep=0.6, nodesep=0.15, fontname="sans-serif"];'
    yield '  node [fontname="sans-serif", fontsize=10, style="rounded"];'
    yield "  edge [arrowhead=none];"
    for name, shape, lines in graph.nodes:
        label = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
        yield f'  {name} [shape={shapes[shape]}, label="{label}"];'
    for parent, child in graph.edges:
        yield f"  {parent} -> {child};"
    yield "}"


def mermaid(picture: dict[str, Any]) -> list[str]:
    """Return the lines of a Mermaid flowchart. Raises UsageError for a picture that Mermaid would refuse to draw."""
    brackets = {"host": ('[["', '"]]'), "trunk": ('(["', '"])'), "branch": ('["', '"]'), "netns": ('("', '")')}
    graph = _graph(picture)
    lines = ["flowchart LR"]
    for name, shape, text in graph.nodes:
        left, right = brackets[shape]
        lines.append(f"  {name}{left}{'<br>'.join(map(_entities, text))}{right}")
    lines += [f"  {parent} --- {child}" for parent, child in graph.edges]
    size = sum(len(line) + 1 for line in lines)
    if len(graph.edges) >= MERMAID_EDGES or size > MERMAID_CHARACTERS:
        raise UsageError(
            "this picture is more than Mermaid draws",
            f"{len(graph.edges)} edges of {MERMAID_EDGES}, {size} characters of {MERMAID_CHARACTERS}",
            "-o svg, or a part of it: eni-ledger topology --family NAME -o mermaid",
        )
    return lines


def _entities(text: str) -> str:
    """Return text as Mermaid shows it unchanged: everything that its grammar or HTML could know is an entity code."""
    return "".join(c if c.isalnum() or c in " .:/-,_+()=@" else f"#{ord(c)};" for c in text)
