"""The page of `report`, and Mermaid's drawing of `topology`, in the real Chromium."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.desk.report.page import render
from eni_ledger.desk.topology import svg
from eni_ledger.desk.topology.graphs import mermaid
from eni_ledger.desk.topology.picture import draw
from helpers.chromium import DESK, PHONE, Chromium
from helpers.documents import document, past, ts
from helpers.pictures import HOSTILE, branch, branches
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MERMAID = "11.12.0"
"""Its npm package has the library in one file."""
IN_SIGHT = "document.querySelectorAll('#rows tr[data-at]')"
ROWS = f"{IN_SIGHT}.length"
COUNT = "document.getElementById('count').textContent"
SPAN = "document.getElementById('span').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def page(browser: Chromium, tmp_path: Path) -> Iterator[Page]:
    """Return a way to open pages; they said nothing on the console and asked for nothing when the test is over."""
    browser.messages.clear()
    browser.requests.clear()
    browser.size(DESK)
    browser.media()
    yield Page(browser, tmp_path / "r.html")
    assert [text for text in browser.messages if "willReadFrequently" not in text] == []  # of the test's own reading
    assert [url for url in browser.requests if not url.startswith(("file:", "about:"))] == []


class Page:
    def __init__(self, browser: Chromium, path: Path) -> None:
        self.browser = browser
        self.run = browser.run
        self._path = path

    def open(self, associations: list[dict[str, Any]], **more: Any) -> None:
        """Show the page of a report on associations."""
        self._path.write_text(render(document(associations, **more)))
        self.browser.open(self._path.as_uri())
        self.browser.wait("performance.getEntriesByName('report-table').length")

    def search(self, text: str) -> list[str]:
        """Return the texts of the rows in sight after typing a search."""
        self.run("document.getElementById('search').select()")
        self.run("document.getElementById('search').focus()")
        self.run("document.getElementById('search').value = ''")
        self.browser.type(text)
        return self.settled()

    def settled(self) -> list[str]:
        """Return the texts of the rows in sight, when no search waits."""
        self.run("new Promise((done) => setTimeout(done, 150))")
        rows: list[str] = self.run(f"[...{IN_SIGHT}].map((row) => row.innerText)")
        return rows

    def box(self, selector: str) -> dict[str, float]:
        """Return where an element is in the window."""
        place: dict[str, float] = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'}); return e.getBoundingClientRect().toJSON(); })()"
        )
        return place


def test_ten_thousand_rows_of_which_only_those_in_sight_are_elements(page: Page) -> None:
    page.open(past(10_000))
    assert page.run(COUNT) == "10000 associations"
    assert 10 < page.run(ROWS) < 80
    assert page.run("document.getElementById('table').getAttribute('aria-rowcount')") == "10001"
    page.run("document.getElementById('scroll').scrollTop = 1e9")
    page.settled()
    assert page.run("[...document.querySelectorAll('#rows tr[data-at]')].pop().dataset.at") == "9999"
    height = page.run("document.getElementById('scroll').scrollHeight")
    assert abs(height - 10_000 * 30) < 200


def test_search_finds_by_every_field_and_all_words_count(page: Page) -> None:
    associations = past(200)
    page.open(associations)
    one = associations[137]
    task = one["task_arn"].rpartition("/")[2]
    eni, mac, container = one["eni_id"], one["branch_mac"], one["container_id"][:12]
    for text in (
        "10.0.32.141",
        eni,
        eni[4:],
        mac,
        task,
        container,
        f"vlan:{one['vlan_id']} {eni}",
        f"  {eni.upper()} ",
    ):
        rows = page.search(text)
        assert len(rows) == 1, text
        assert eni in rows[0]
    page.search("vlan:103")
    assert page.run(COUNT) == "20 of 200"
    page.search("web vlan:103")
    assert page.run(COUNT) == "6 of 200"
    assert page.search("nobody at all") == []
    assert page.run("document.getElementById('none').hidden") is False
    page.browser.key("Escape")
    page.settled()
    assert page.run(COUNT) == "200 associations"


def test_columns_sort_both_ways_and_say_so(page: Page) -> None:
    page.open(past(200))
    for key, first, last in (("vlan", "101", "110"), ("ip", "10.0.32.4", "10.0.32.203")):
        for shown, order in ((first, "ascending"), (last, "descending")):
            page.run(f"document.querySelector('button[data-key={key}]').click()")
            assert shown in page.settled()[0]
            assert page.run(f"document.querySelector('button[data-key={key}]').parentElement.ariaSort") == order


def test_zoom_by_buttons_keys_and_dragging_narrows_timeline_and_table(page: Page) -> None:
    page.open(past(200))
    whole = page.run(SPAN)
    page.run("document.getElementById('in').click()")
    page.settled()
    narrow = page.run(SPAN)
    assert narrow != whole
    assert re.fullmatch(r"\d+ of 200", page.run(COUNT))
    page.run("document.getElementById('lanes').focus()")
    page.browser.key("ArrowRight")
    assert page.run(SPAN) not in (whole, narrow)
    page.browser.key("0", "Digit0", "0")
    assert page.run(SPAN) == whole
    assert page.run(COUNT) == "200 associations"
    place = page.box("#canvas")
    y = place["y"] + 60
    page.browser.mouse("mousePressed", place["x"] + 300, y, button="left", clickCount=1)
    page.browser.mouse("mouseMoved", place["x"] + 420, y, button="left", buttons=1)
    page.browser.mouse("mouseReleased", place["x"] + 420, y, button="left", clickCount=1)
    page.settled()
    assert re.fullmatch(r"\d+ of 200", page.run(COUNT))
    page.run("document.getElementById('follow').click()")
    assert page.run(COUNT) == "200 associations", "the table need not follow"


def test_hovering_tells_what_is_there_and_a_click_chooses_it(page: Page) -> None:
    associations = past(20)
    page.open(associations)
    place = page.box("#canvas")
    x, y = place["x"] + place["width"] - 30, place["y"] + 22 + 8  # the live one on the first lane
    page.browser.mouse("mouseMoved", x, y)
    tip = page.run("document.getElementById('tip').innerText")
    assert "VLAN 101" in tip
    assert "live" in tip
    page.browser.click(x, y)
    chosen = page.run("document.querySelector('#rows tr[aria-selected=true]').innerText")
    assert associations[10]["eni_id"] in chosen
    assert associations[10]["eni_id"] in page.run("document.getElementById('detail').innerText")
    page.browser.mouse("mouseMoved", 5, 5)
    assert page.run("document.getElementById('tip').hidden") is True


def test_everything_by_keyboard(page: Page) -> None:
    associations = past(300)
    page.open(associations)
    page.browser.key("/", "Slash", "/")
    assert page.run("document.activeElement.id") == "search"
    page.browser.type("vlan:105")
    page.settled()
    page.browser.key("ArrowDown")
    assert page.run("document.activeElement.id") == "scroll"
    mine = [one for one in associations if one["vlan_id"] == 105]
    chosen = "document.querySelector('#rows tr[aria-selected=true]').innerText"
    assert mine[0]["eni_id"] in page.run(chosen)
    page.browser.key("ArrowDown")
    assert mine[1]["eni_id"] in page.run(chosen)
    page.browser.key("End")
    page.settled()
    assert mine[-1]["eni_id"] in page.run(chosen)
    page.browser.key("Enter")
    assert page.run("document.activeElement.id") == "detail"
    assert mine[-1]["task_arn"].rpartition("/")[2] in page.run("document.getElementById('detail').innerText")
    unreachable = page.run(
        "[...document.querySelectorAll('button, input, select, #lanes, #scroll')].filter((e) => e.tabIndex < 0).length"
    )
    assert unreachable == 0


def test_every_control_has_a_name(page: Page) -> None:
    page.open(past(20))
    nodes = page.browser.call("Accessibility.getFullAXTree")["nodes"]
    for node in nodes:
        if node.get("role", {}).get("value") in ("button", "searchbox", "checkbox", "combobox", "link"):
            assert node.get("name", {}).get("value"), node


def luminance(browser: Chromium, expression: str) -> float:
    red, green, blue = map(float, browser.run(f"{expression}.match(/\\d+/g).slice(0, 3)"))
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def test_dark_and_light_follow_the_system(page: Page) -> None:
    page.open(past(60))
    ground, ink = ("getComputedStyle(document.body).backgroundColor", "getComputedStyle(document.body).color")
    image = "document.getElementById('canvas').getContext('2d').getImageData(20, 10, 1, 1).data"
    pixel = f"'rgb(' + {image}.slice(0, 3).join() + ')'"
    assert luminance(page.browser, ground) > 0.9 > 0.3 > luminance(page.browser, ink)
    assert luminance(page.browser, f"({pixel})") > 0.9
    page.browser.media(dark=True)
    page.settled()
    assert luminance(page.browser, ground) < 0.2 < 0.8 < luminance(page.browser, ink)
    assert luminance(page.browser, f"({pixel})") < 0.2, "the canvas is drawn anew"
    card = "getComputedStyle(document.querySelector('.tp-card')).fill"
    assert luminance(page.browser, card) < 0.2


def test_a_phone_scrolls_down_only(page: Page) -> None:
    page.browser.size(PHONE)
    page.open(past(300, task_family="a-rather-long-family-name-of-a-service"))
    assert page.run("document.documentElement.scrollWidth") <= PHONE["width"]
    page.run("document.getElementById('associations').scrollIntoView()")
    rows = page.settled()
    assert "10.0.32.4" in rows[0]
    assert page.run("document.querySelector('#rows tr[data-at]').offsetHeight") > 50
    assert page.run("Math.min(...[...document.querySelectorAll('.bar button')].map((e) => e.offsetHeight))") >= 40


def test_printed_it_has_the_rows_and_is_light(page: Page) -> None:
    page.open(past(300))
    page.browser.media(dark=True)
    paper = page.browser.pdf()
    assert paper.startswith(b"%PDF")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run(ROWS) == 300
    page.browser.media(kind="print")
    assert page.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert luminance(page.browser, "getComputedStyle(document.body).backgroundColor") > 0.9
    page.browser.media()
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run(ROWS) < 80


def test_hostile_names_do_nothing(page: Page) -> None:
    hostile = [
        {**one, "task_family": name, "service": name, "container_id": name, "addresses": [name], "trunk_ifname": name,
         "pause_name": name, "containers": [{"id": name, "name": name}], "instance_id": name, "task_arn": f"a/{name}"}
        for one, name in zip(past(len(HOSTILE)), HOSTILE, strict=True)
    ]  # fmt: skip
    page.open(hostile, gaps=[{"first": ts(0), "last": ts(9), "text": HOSTILE[0]}], damage=[HOSTILE[1]])
    elements = "document.querySelectorAll('script, img, iframe').length"
    assert page.run(elements) == 2
    page.run("document.querySelector('#rows tr[data-at]').click()")
    place = page.box("#canvas")
    page.browser.mouse("mouseMoved", place["x"] + place["width"] - 30, place["y"] + 30)
    assert len(page.search("onerror=alert(1)")) == 1
    assert page.run(elements) == 2
    assert page.run("document.title").startswith("eni-ledger report")


def test_an_inline_script_that_got_in_would_not_run(page: Page) -> None:
    page.open(past(3))
    page.run(
        "(() => { const s = document.createElement('div'); document.body.append(s);"
        " try { s.innerHTML = '<img src=x onerror=\"window.bad = 1\">'; } catch { window.refused = 1; } })()"
    )
    page.settled()
    assert page.run("[window.bad, window.refused]") == [None, 1]
    page.browser.messages[:] = [text for text in page.browser.messages if "TrustedHTML" not in text]


def test_times_are_shown_in_another_zone(page: Page) -> None:
    page.open(past(30))
    page.browser.call("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")
    page.open(past(30))
    assert "2026-11-27 03:00:00" in page.settled()[0]
    page.run(
        "(() => { const z = document.getElementById('zone'); z.value = 'local';"
        " z.dispatchEvent(new Event('change')); })()"
    )
    assert "2026-11-27 12:00:00" in page.settled()[0]
    page.browser.call("Emulation.setTimezoneOverride", timezoneId="")


def test_a_family_is_chosen_in_the_legend(page: Page) -> None:
    page.open(past(300))
    page.run("[...document.querySelectorAll('.key')].find((e) => e.innerText === 'web').click()")
    assert page.run(COUNT) == "100 of 300"
    page.run("document.querySelector('.key[aria-pressed=true]').click()")
    assert page.run(COUNT) == "300 associations"


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_and_a_single_one_are_pages_too(page: Page, count: int) -> None:
    page.open(past(count))
    assert page.run(ROWS) == count


def test_chromium_draws_the_svg_file_light_and_dark(browser: Chromium, tmp_path: Path) -> None:
    path = tmp_path / "t.svg"
    path.write_text(svg.svg(draw(branches(120), instance_type="m5.16xlarge"), title="now"))
    for dark in (False, True):
        browser.media(dark=dark)
        browser.open(path.as_uri())
        ground = luminance(browser, "getComputedStyle(document.querySelector('.tp-page')).fill")
        assert (ground < 0.2) is dark
    overflow = browser.run(
        "(() => { const end = (e) => e.getBBox().x + e.getBBox().width; return"
        " [...document.querySelectorAll('g')].filter((g) => [...g.querySelectorAll('text')].some((t) =>"
        " end(t) > end(g.querySelector('rect')) + 1)).length; })()"
    )
    assert overflow == 0, "a text is wider than its card"
    browser.media()


@pytest.fixture(scope="session")
def mermaid_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return Mermaid in one file, from its npm package."""
    need(shutil.which("npm"), "npm, for Mermaid's package")
    place = tmp_path_factory.mktemp("mermaid")
    command = ["npm", "pack", "--silent", "--pack-destination", str(place), f"mermaid@{MERMAID}"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    need(done.returncode == 0, f"Mermaid from npm: {done.stderr[-200:]}")
    member = "package/dist/mermaid.min.js"
    subprocess.run(["tar", "-xzf", f"mermaid-{MERMAID}.tgz", member], cwd=place, check=True)
    return place / member


@pytest.mark.parametrize(
    "associations",
    [
        branches(3),
        branches(120),
        [
            branch(n, task_family=name, pause_name=name, containers=[{"id": name, "name": name}])
            for n, name in enumerate(HOSTILE)
        ],
    ],
    ids=["3", "120", "hostile"],
)
def test_the_real_mermaid_draws_it(
    browser: Chromium, tmp_path: Path, mermaid_library: Path, associations: list[dict[str, Any]]
) -> None:
    path = tmp_path / "m.html"
    path.write_text(f'<!DOCTYPE html><meta charset="utf-8"><script src="{mermaid_library.as_uri()}"></script>')
    browser.messages.clear()
    browser.open(path.as_uri())
    text = "\n".join(mermaid(draw(associations)))
    browser.run("mermaid.initialize({startOnLoad: false})")
    drawn = browser.run(f"mermaid.render('x', {json.dumps(text)}).then((made) => made.svg)")
    assert drawn.count('class="node ') == sum(1 for line in text.splitlines() if re.match(r"  n\d+[\[(]", line))
    browser.run(f"document.body.innerHTML = {json.dumps(drawn)}")
    shown = browser.run("document.body.innerText")
    assert "VLAN 101" in shown
    assert [text for text in browser.messages if "dialog" in text] == []
