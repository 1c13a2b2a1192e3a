"""SVG and HTML: well-formed, for light and dark pages, nothing that runs or loads."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from eni_ledger.desk.topology.picture import draw
from eni_ledger.desk.topology.svg import COLOURS, WIDTH, family_colours, page, svg
from helpers.pictures import HOSTILE, branch, branches

NAMESPACE = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "style", "rect", "text", "path", "g"}
hostile = [
    branch(n, task_family=name, pause_name=name, containers=[{"id": name, "name": name}])
    for n, name in enumerate(HOSTILE)
]
SETS = pytest.mark.parametrize(
    "associations", [[], branches(1), branches(3), branches(120), hostile], ids=["none", "1", "3", "120", "hostile"]
)


@SETS
def test_the_svg_is_well_formed_and_has_nothing_that_runs_or_loads(associations: list[dict[str, object]]) -> None:
    text = str(svg(draw(associations, instance_type="m5.16xlarge"), title="now"))
    root = ElementTree.fromstring(text)  # ours
    assert {element.tag.removeprefix(NAMESPACE) for element in root.iter()} <= ELEMENTS
    for element in root.iter():
        assert not [
            name for name in element.attrib if name.lower().startswith("on") or "href" in name or name == "style"
        ]
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text


def test_every_branch_is_a_card_inside_the_picture() -> None:
    root = ElementTree.fromstring(str(svg(draw(branches(120)), title="now")))
    cards = [rect for rect in root.iter(f"{NAMESPACE}rect") if "tp-card" in rect.get("class", "").split()]
    assert len(cards) == 120
    assert len({(card.get("x"), card.get("y")) for card in cards}) == 120
    for card in cards:
        assert float(card.get("x", 0)) + float(card.get("width", 0)) <= WIDTH
        assert float(card.get("y", 0)) + float(card.get("height", 0)) <= float(root.get("height", 0))
    texts = {text.text for text in root.iter(f"{NAMESPACE}text")}
    assert {str(vlan) for vlan in range(101, 221)} <= texts


def test_hostile_names_are_text_in_the_svg() -> None:
    root = ElementTree.fromstring(str(svg(draw(hostile), title=HOSTILE[0])))
    titles = "\n".join(title.text or "" for title in root.iter(f"{NAMESPACE}title"))
    assert HOSTILE[0] in titles
    assert HOSTILE[1] in titles
    assert "\u202e" not in titles
    assert "{{ 7 * 7 }}" in titles


class Page(HTMLParser):
    """The elements of a page, and its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


@SETS
def test_the_page_has_no_script_no_link_and_a_strict_policy(associations: list[dict[str, object]]) -> None:
    text = page(draw(associations), title="now", notes=[HOSTILE[0]])
    found = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "a", "form"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("src", "href", "style")]
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith(("default-src &#39;none&#39;", "default-src 'none'"))
    assert "unsafe" not in policy


def test_families_have_colours_of_their_own_as_far_as_there_are_any() -> None:
    colours = family_colours(["b", "a", "a", ""])
    assert colours == {"a": 1, "b": 2}
    many = family_colours([f"f{n}" for n in range(40)])
    assert sorted(many.values()) == [0] * (40 - COLOURS + 1) + list(range(1, COLOURS))
