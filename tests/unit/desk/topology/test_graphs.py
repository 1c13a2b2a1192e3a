"""DOT and Mermaid: read by the real Graphviz and, in Chromium, by the real Mermaid (tests/browser)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.topology.graphs import dot, mermaid
from eni_ledger.desk.topology.picture import draw
from helpers.pictures import HOSTILE, branch, branches
from helpers.prereq import need

hostile = [
    branch(n, task_family=name, pause_name=name, containers=[{"id": name, "name": name}])
    for n, name in enumerate(HOSTILE)
]


def graphviz(text: str, form: str = "json") -> str:
    need(shutil.which("dot"), "Graphviz (package graphviz)")
    done = subprocess.run(["dot", f"-T{form}"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("count", [0, 1, 3, 120])
def test_graphviz_reads_it_and_has_every_node_and_edge(count: int) -> None:
    lines = list(dot(draw(branches(count))))
    drawn = json.loads(graphviz("\n".join(lines)))
    nodes = 0 if not count else 2 + count * (2 if count <= 24 else 1)
    assert len(drawn.get("objects", [])) == nodes
    assert len(drawn.get("edges", [])) == max(0, nodes - 1)


def test_graphviz_reads_hostile_names_as_names() -> None:
    drawn = json.loads(graphviz("\n".join(dot(draw(hostile)))))
    assert len(drawn["objects"]) == 2 + 2 * len(hostile)
    assert len(drawn["edges"]) == 1 + 2 * len(hostile)
    assert {one["name"] for one in drawn["objects"]} == {f"n{n}" for n in range(2 + 2 * len(hostile))}


def test_graphviz_shows_a_name_as_it_is() -> None:
    name = 'a"b\\c\\n{d}'
    picture = graphviz("\n".join(dot(draw([branch(0, task_family=name)]))), "plain")
    assert 'a\\"b\\\\c\\\\n{d}' in picture or 'a\\"b\\\\\\\\c' in picture


NODE = re.compile(r'  n\d+(?:\[\["|\(\["|\["|\(")([^"\[\]<>{}|`;#&\\]|#\d+;|<br>)*(?:"\]\]|"\]\)|"\]|"\))')
EDGE = re.compile(r"  n\d+ --- n\d+")


@pytest.mark.parametrize(
    "associations", [branches(1), branches(3), branches(120), hostile], ids=["1", "3", "120", "hostile"]
)
def test_mermaid_has_only_lines_of_its_grammar(associations: list[dict[str, object]]) -> None:
    first, *lines = mermaid(draw(associations))
    assert first == "flowchart LR"
    for line in lines:
        assert NODE.fullmatch(line) or EDGE.fullmatch(line), line
    assert len("\n".join(lines)) < 50_000
    assert sum(1 for line in lines if EDGE.fullmatch(line)) < 500


def test_more_than_mermaid_draws_is_refused() -> None:
    with pytest.raises(UsageError, match="more than Mermaid draws"):
        mermaid(draw(branches(600)))
