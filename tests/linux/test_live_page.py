"""The page of `serve` in the real Chromium, while events are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helpers.chromium import DESK, Chromium
from helpers.ledgers import add_event, record
from helpers.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE = "performance.getEntriesByName('report-table').length"
COUNT = "document.getElementById('count').textContent"
LIVE = "document.getElementById('live').textContent"
RELOAD = "document.getElementById('reload')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as started:
        started.size(DESK)
        yield started


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    for number in range(1, 4):
        record(path, add_event(number, task_family="api"))
    return path


@pytest.fixture
def server(state_dir: Path, browser: Chromium) -> Iterator[Serving]:
    browser.messages.clear()
    browser.requests.clear()
    with serving(state_dir) as running:
        yield running
        browser.open("about:blank")
    assert [text for text in browser.messages if "404" not in text] == []  # it looks for an icon
    assert [url for url in browser.requests if not url.startswith(("about:", f"{running.url}/"))] == []


def test_new_events_are_offered_and_shown_with_what_was_searched(
    server: Serving, browser: Chromium, state_dir: Path
) -> None:
    browser.open(f"{server.url}/")
    browser.wait(TABLE)
    browser.wait(f"{LIVE} === 'Up to date.'")
    assert browser.run(f"{RELOAD}.hidden") is True
    browser.run("document.getElementById('search').value = 'web'")
    browser.run("document.getElementById('search').dispatchEvent(new Event('input'))")
    browser.wait(f"{COUNT} === '0 of 3'")
    record(state_dir, add_event(4, task_family="web"))
    browser.wait(f"{LIVE} === 'Not in this page yet: 1 event.'")
    record(state_dir, add_event(5, task_family="web"))
    browser.wait(f"{RELOAD}.textContent === 'Show 2 new events'")
    assert browser.run(COUNT) == "0 of 3"
    browser.run(f"{RELOAD}.click()")
    browser.wait(f"document.getElementById('count') && {COUNT} === '2 of 5'")
    browser.wait(f"{LIVE} === 'Up to date.'")
    assert browser.run("document.getElementById('search').value") == "web"
    assert browser.run(f"{RELOAD}.hidden") is True


def test_new_events_are_shown_as_they_come_when_that_is_wished(
    server: Serving, browser: Chromium, state_dir: Path
) -> None:
    browser.open(f"{server.url}/")
    browser.wait(f"{LIVE} === 'Up to date.'")
    browser.run("document.getElementById('in').click()")
    zoomed = browser.run("document.getElementById('lanes').dataset.view")
    browser.run("document.getElementById('renew').click()")
    for number in (4, 5):
        record(state_dir, add_event(number, task_family="web"))
        browser.wait(f"/^{number} assoc| of {number}$/.test((document.getElementById('count') || {{}}).textContent)")
    assert browser.run("document.getElementById('renew').checked") is True
    assert browser.run("document.getElementById('lanes').dataset.view") == zoomed


def test_a_page_of_an_interval_that_has_ended_asks_for_nothing(server: Serving, browser: Chromium) -> None:
    browser.open(f"{server.url}/?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z")
    browser.wait(TABLE)
    assert browser.run(RELOAD) is None
    assert "connect-src" not in browser.run("document.querySelector('meta[http-equiv]').content")
    assert [url for url in browser.requests if "/v1/" in url] == []


def test_a_server_that_has_ended_is_told_of(state_dir: Path, browser: Chromium) -> None:
    with serving(state_dir) as running:
        browser.open(f"{running.url}/")
        browser.wait(f"{LIVE} === 'Up to date.'")
    browser.wait(f"{LIVE} !== 'Up to date.'")
    assert browser.run(LIVE) == "Not live: the server does not answer. It is asked again."
    browser.open("about:blank")


def test_the_page_may_connect_to_its_server_only(server: Serving, browser: Chromium) -> None:
    browser.open(f"{server.url}/")
    browser.wait(f"{LIVE} === 'Up to date.'")
    tried = "fetch('http://127.0.0.1:9/').then(() => 'went', () => 'refused')"
    assert browser.run(tried) == "refused"
    assert any("connect-src" in text for text in browser.messages)
    browser.messages.clear()
    browser.requests[:] = [url for url in browser.requests if not url.startswith("http://127.0.0.1:9/")]
