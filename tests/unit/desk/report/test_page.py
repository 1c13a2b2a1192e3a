"""The page as text: self-contained, strict, and hostile names in it are text. What it does is in tests/linux."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from eni_ledger.desk.report.page import DRAWN_MAX, FINDINGS_MAX, render
from helpers.documents import document, past, ts
from helpers.pictures import HOSTILE, branch, branches

SIZE_MAX = 2_000_000
"""Bytes of a page of 10,000 associations."""


class Parts(HTMLParser):
    """Elements, attributes and the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.inside: list[tuple[str, str]] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._open = tag if tag in ("script", "style") else ""
        if self._open:
            self.inside.append((tag, ""))

    def handle_data(self, data: str) -> None:
        if self._open:
            self.inside[-1] = (self.inside[-1][0], self.inside[-1][1] + data)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's signature
        self._open = ""


def parts(text: str) -> Parts:
    return Parts(text)


@pytest.mark.parametrize("count", [0, 1, 40])
def test_the_policy_allows_exactly_this_script_and_this_style(count: int) -> None:
    text = render(document(past(count)))
    found = parts(text)
    (policy,) = [value for name, value in found.attributes if name == "content" and "default-src" in value]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    style, (_, data), (_, script) = found.inside
    assert data.startswith('{"rows":')
    for kind, source in (("style-src", style[1]), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy


def test_nothing_is_loaded_and_nothing_is_inline_but_that() -> None:
    found = parts(render(document(past(40))))
    assert [value for name, value in found.attributes if name == "href"] == [
        *("#associations", "#timeline", "#associations", "#findings", "#gaps", "#topology", "#made")
    ]
    assert not [name for name, _ in found.attributes if name in ("src", "style", "action") or name.startswith("on")]
    assert not {"link", "img", "iframe", "form", "object", "embed", "base"} & set(found.tags)


def test_hostile_names_are_text_wherever_they_stand() -> None:
    quiet = [branch(n, since=ts(n), mismatch=["branch_mac"]) for n in range(len(HOSTILE))]
    hostile = [
        {**one, "task_family": name, "service": name, "container_id": name, "ifname": name, "instance_id": name,
         "addresses": [name], "pause_name": name, "private_dns_name": name, "observed_mac": name, "trunk_ifname": name,
         "containers": [{"id": name, "name": name}]}
        for one, name in zip(quiet, HOSTILE, strict=True)
    ]  # fmt: skip
    gaps = [{"first": ts(0), "last": ts(1), "text": name} for name in HOSTILE]
    source = {
        **document([])["sources"][0],
        "place": HOSTILE[0],
        "notes": list(HOSTILE),
        "damage": list(HOSTILE),
        "sound": False,
    }
    text = render(document(hostile, gaps=gaps, damage=list(HOSTILE), sources=[source]))
    found = parts(text)
    assert found.tags.count("script") == 2
    assert "img" not in found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert not set("\u202e\x1b\x07") & set(text)
    assert "{{ 7 * 7 }}" in text


def test_a_page_of_ten_thousand_associations_is_at_most_two_megabytes() -> None:
    addresses = ["10.0.32.104/20", "2600:1f14:0abc:1234:5678:9abc:def0:1234/64"]
    assert len(render(document(past(10_000, addresses=addresses))).encode()) <= SIZE_MAX


def test_findings_beyond_the_page_are_counted() -> None:
    text = render(document(branches(FINDINGS_MAX + 5, mismatch=["vlan_id"])))
    assert "And 5 more" in text


def test_too_many_to_draw_is_said() -> None:
    text = render(document(branches(DRAWN_MAX + 1)))
    assert f"{DRAWN_MAX + 1} attachments are too many to draw" in text
    assert "Nothing was live then." in render(document([]))


def test_damage_is_said_at_the_top_and_the_chain_is_not_called_proven() -> None:
    source = {**document([])["sources"][0], "sound": False, "damage": ["ledger.jsonl, line 4"]}
    text = render(document(past(3), damage=["the CRC does not match: ledger.jsonl"], sources=[source]))
    assert "The ledger is damaged; this page has what is proven." in text
    assert '<b class="wrong">damaged</b>' in text
    assert "not proven: 1 damaged place" in text


def test_what_it_was_made_from_is_told() -> None:
    text = render(document(past(3)))
    assert "proven: every checksum of 7 events" in text
    assert "ledger.jsonl" in text
    assert "seq 1 to 7" in text
    assert "eni-ledger 1.2.3" in text
    assert '<b class="good">proven</b>' in text


def test_without_the_script_all_but_timeline_and_table_is_there() -> None:
    text = re.sub(r"<script.*?</script>", "", render(document(past(12, mismatch=["vlan_id"]))), flags=re.DOTALL)
    for part in ("<noscript>", "mismatch", "VLAN 101", '<svg xmlns="http://www.w3.org/2000/svg"'):
        assert part in text
