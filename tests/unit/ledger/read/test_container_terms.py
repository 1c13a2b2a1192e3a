"""Containers of a task by ID and name, and its hostname: in a plain ledger, in a packed one, and in an old one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from eni_ledger.ledger.archive import index_keys
from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read import container_terms, line_filter
from eni_ledger.ledger.read.terms import Query
from eni_ledger.ledger.write.batch import record_found
from helpers.ledgers import add_event, copy, del_event, record, settings

OLD = Path(__file__).parents[3] / "fixtures" / "ledger-0.1.0"
IDS = [f"{n:02x}5e" * 16 for n in range(0xA1, 0xA5)]
NAMES = ["app", "envoy", "logs", "last"]
HOSTNAME = "ip-10-0-99-5.eu-central-1.compute.internal"
ASKED = [*IDS, *(docker_id[:6] for docker_id in IDS), *(f"ecs-web-7-{name}-0a" for name in NAMES), "pause-0a", HOSTNAME]


def container(n: int) -> dict[str, str]:
    return {"id": IDS[n], "name": NAMES[n], "docker_name": f"ecs-web-7-{NAMES[n]}-0a"}


@pytest.fixture(scope="module", params=["plain", "packed"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[History, list[str]]:
    """Give a ledger and the IDs of two associations of one kind.

    The first has three containers of an `identify` long after its add, and one of another that came after its end. The
    second has one with the same name in the task definition. Between them are many that have none.
    """
    where = tmp_path_factory.mktemp("containers") / "state"
    first = str(record(where, add_event(1))["association_id"])
    for n in range(3, 30):
        record(where, add_event(n), rotate_bytes=6000)
    second = str(record(where, add_event(2))["association_id"])
    about = {"event": "identify", "pause_name": "pause-0a", "private_dns_name": HOSTNAME}
    late = {"event": "identify", "late": True, "association_id": first, "containers": [container(3)]}
    other = {"id": "ff" * 32, "name": "app", "docker_name": "ecs-web-8-app-0b"}
    event = {**about, "association_id": first, "containers": [container(n) for n in range(3)]}
    record_found(settings(where), {}, lambda _: [event])
    event = {"event": "identify", "association_id": second, "containers": [other]}
    record_found(settings(where), {}, lambda _: [event])
    for n in range(30, 60):
        record(where, add_event(n), rotate_bytes=6000)
    record(where, del_event(1), rotate_bytes=1)
    record_found(settings(where), {}, lambda _: [late])
    record(where, add_event(60), rotate_bytes=1)
    if request.param == "packed":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gzip_members, "MEMBER", 1200)
            prune(settings(where))
        assert list(where.glob("ledger-*.index"))
    return History(str(where)), [first, second]


@pytest.mark.parametrize("text", ASKED)
def test_a_container_finds_its_association(asked: tuple[History, list[str]], text: str) -> None:
    history, (first, _) = asked
    (found,) = history.who(text)
    assert (found["association_id"], found["ended_by"]) == (first, "del")
    assert found["containers"] == [container(n) for n in range(4)]
    for when in (found["since"], line_format.format_ts(line_format.parse_ts(found["until"]) - 1)):
        (then,) = history.who(text, when)
        assert then["association_id"] == first
    assert history.who(text, found["until"]) == []


def test_which_field_fitted(asked: tuple[History, list[str]]) -> None:
    history, ids = asked
    found = history.who(HOSTNAME)
    assert container_terms.fit(found[0], HOSTNAME) == ("private_dns_name", container_terms.EXACT)
    assert container_terms.fit(found[0], "pause-0a") == ("pause_name", container_terms.EXACT)
    assert container_terms.fit(found[0], IDS[1][:8]) == ("containers", container_terms.START)
    assert container_terms.fit(found[0], IDS[1][:5]) == ("", container_terms.NOT)
    everything = history.all()
    named = [one["association_id"] for one in everything if container_terms.fit_named(one, "app")[1]]
    assert sorted(named) == sorted(ids)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ip-10-0-32-5", "10.0.32.5"),
        ("ip-10-0-32-5.ec2.internal", "10.0.32.5"),
        ("ip-10-0-32-500", None),
        ("ip-10-0-32-05", None),
        ("ip-10-0-32", None),
        ("ip-10-0-32-5-6", None),
        ("ip-10-0-32-.ec2", None),
        ("ip-10-0-32-²", None),
        ("xp-10-0-32-5", None),
        ("ip-", None),
    ],
)
def test_the_address_in_a_hostname(text: str, address: str | None) -> None:
    assert container_terms.address_in(text) == address


def test_a_hostname_finds_the_address_where_no_name_is_recorded(tmp_path: Path) -> None:
    where = tmp_path / "state"
    ids = [
        record(where, add_event(n, addresses=["10.0.99.5/20"], **over))["association_id"]
        for n, over in enumerate([{}, {"private_dns_name": HOSTNAME}, {"private_dns_name": "x.example"}])
    ]
    record(where, add_event(9), rotate_bytes=1)
    for state_dir in (where, copy(where, tmp_path / "packed")):
        if state_dir != where:
            prune(settings(state_dir))
        history = History(str(state_dir))
        assert [one["association_id"] for one in history.who(HOSTNAME)] == ids[:2]
        assert [one["association_id"] for one in history.who("ip-10-0-99-5")] == ids[:2]
        assert [one["association_id"] for one in history.who("x.example")] == ids[2:]
        assert history.who("ip-10-0-98-5.eu-central-1.compute.internal") == []
        assert history.who("ip-10-0-98-500") == []


def test_an_old_ledger_with_its_old_indexes(tmp_path: Path) -> None:
    """Its indexes have no keys for containers, and its events have no containers: nothing is missed."""
    where = tmp_path / "state"
    shutil.copytree(OLD, where)
    where.chmod(0o750)
    history = History(str(where))
    assert not any("containers" in one for one in history.all())
    address = next(each.partition("/")[0] for each in history.all()[0]["addresses"] if ":" not in each)
    by_address, by_name = history.who(address), history.who(f"ip-{address.replace('.', '-')}.ec2.internal")
    assert by_name == [one for one in by_address if one in by_name]
    assert by_name
    assert history.who("d" * 64) == []
    record(where, {**add_event(300), "pause_name": "pause-0b"}, rotate_bytes=1)
    record(where, add_event(301), rotate_bytes=1)
    (found,) = History(str(where)).who("pause-0b")
    assert found["container_id"] == f"{300:064x}"


def test_containers_within_what_a_checkpoint_has_live() -> None:
    """A line of a checkpoint is taken apart between its associations, and never between the containers of one."""
    live: list[dict[str, Any]] = [
        {"via": "chained", "containers": [container(n) for n in range(4)], "association_id": f"assoc-{number}"}
        for number in range(3)
    ]
    line = json.dumps({"event": "checkpoint", "live": live, "crc": "00000000"}, separators=(",", ":")).encode()
    assert line_filter.checkpoint(line, [IDS[1].encode()])["live"] == live
    assert line_filter.checkpoint(line, [b"assoc-1"])["live"] == live[1:2]
    assert line_filter.checkpoint(line, [b"nobody"])["live"] == []
    live[1] = {**live[1], "containers": [{"id": IDS[0], "name": "alone"}]}
    line = json.dumps({"event": "checkpoint", "live": live, "crc": "00000000"}, separators=(",", ":")).encode()
    assert line_filter.checkpoint(line, [b"alone"])["live"] == live[1:2]
    odd = [{"id": "x", "association_id": "assoc-9", "containers": [container(0), container(1)]}]
    line = json.dumps({"event": "checkpoint", "live": odd, "crc": "00000000"}, separators=(",", ":")).encode()
    assert line_filter.checkpoint(line, [IDS[1].encode()])["live"] == odd


@pytest.mark.parametrize("odd", ["text", 7, [7, None, {}, {"id": 7, "name": ["x"], "docker_name": {}}]])
def test_containers_that_are_none(odd: object) -> None:
    association = {"association_id": "assoc-1", "containers": odd, "pause_name": 7, "private_dns_name": 7}
    assert container_terms.fit(association, "a1" * 32) == ("", container_terms.NOT)
    assert container_terms.fit_named(association, "app") == ("", container_terms.NOT)
    assert not Query("app").matches(association)
    assert list(index_keys.of_fields(association))
