"""`eni-ledger identify` with the agent's database and a metadata service of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from helpers.agent_db import CLUSTER, container, eni_id, mac, task
from helpers.bolt import BoltWriter
from helpers.http_server import Reply, Request, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eni_ledger.base.events import Event
    from unit.cli.conftest import Ledger, Ran, Run

TRUNK_MAC = "0a:ff:00:00:00:01"  # that of the ledger's fixture
TRUNK = "eni-0fedcba9876543210"
KEY = "a" * 32


def metadata(request: Request) -> Reply:
    if request.method == "PUT":
        return Reply(body="token")
    known = request.path.endswith(f"/macs/{TRUNK_MAC}/interface-id")
    return Reply(body=TRUNK) if known else Reply(404)


@pytest.fixture
def identify(run: Run, tmp_path: Path) -> Iterator[Callable[..., Ran]]:
    """Give the command, in a world in which a task has the MAC of branch 1 and IMDS knows the trunk."""
    database = tmp_path / "agent.db"
    BoltWriter(str(database)).commit({b"tasks": dict([task(KEY, eni_id(1, 1), mac(1), vlan=101)]), b"metadata": {}})
    config = tmp_path / "identify.json"
    config.write_text(f'{{"agentDb": "{database}", "journald": false}}')
    with serve(metadata) as server:
        env = {
            "ENI_LEDGER_CONFIG": str(config),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url,
        }
        yield lambda *args: run("identify", *args, env=env)


def branch(ledger: Ledger, n: int = 1, **more: Any) -> Event:
    return ledger.add(n, 100 + n, branch_mac=mac(n), **more)


def test_what_is_found_is_recorded_once(ledger: Ledger, identify: Callable[..., Ran], run: Run) -> None:
    added = branch(ledger)
    done = identify("--source", "agent-db,imds")
    assert (done.code, done.err) == (0, "")
    assert f"agent-db: eni_id {eni_id(1, 1)}, task_arn {CLUSTER}/{KEY}" in done.out
    assert "2 recorded, 0 still incomplete" in done.out
    (live,) = run("list", "--json").json()["associations"]
    assert (live["eni_id"], live["trunk_eni_id"], live["task_family"]) == (eni_id(1, 1), TRUNK, "web")
    assert live["association_id"] == added["association_id"]
    before = ledger.file.read_bytes()
    assert "0 recorded, 0 still incomplete" in identify("--source", "agent-db,imds").out
    assert ledger.file.read_bytes() == before


def test_the_events_say_who_said_so(ledger: Ledger, identify: Callable[..., Ran], run: Run) -> None:
    branch(ledger)
    document = identify("--source", "imds,agent-db", "--json").json()
    assert [event["identity_source"] for event in document["identified"]] == ["imds", "agent-db"]
    assert [one["source"] for one in document["sources"]] == ["imds", "agent-db"]
    assert (document["disagreements"], document["incomplete"], document["dry_run"]) == ([], [], False)
    events = [event for event in run("log", "--json").json_lines() if event["event"] == "identify"]
    assert [{key: event[key] for key in event if key != "crc"} for event in events] == document["identified"]
    assert f"trunk {TRUNK} (imds)" in run("log").out


def test_a_dry_run_records_nothing(ledger: Ledger, identify: Callable[..., Ran]) -> None:
    branch(ledger)
    before = ledger.file.read_bytes()
    done = identify("--source", "agent-db", "--dry-run", "--json")
    assert done.json()["dry_run"] is True
    assert done.json()["identified"][0]["eni_id"] == eni_id(1, 1)
    assert "1 would be recorded" in identify("--source", "agent-db", "--dry-run").out
    assert ledger.file.read_bytes() == before


def test_disagreement_is_told_and_nothing_is_overwritten(
    ledger: Ledger, identify: Callable[..., Ran], run: Run
) -> None:
    branch(ledger, eni_id=eni_id(9, 9))
    done = identify("--source", "agent-db")
    assert done.code == 1
    assert f"agent-db says {eni_id(1, 1)}, ledger {eni_id(9, 9)}; the recorded value stays" in done.out
    (live,) = run("list", "--json").json()["associations"]
    assert live["eni_id"] == eni_id(9, 9)
    assert live["task_arn"] is None
    (told,) = identify("--source", "agent-db", "--json").json()["disagreements"]
    assert told["key"] == "eni_id"


def test_what_is_not_known_stays_incomplete(ledger: Ledger, identify: Callable[..., Ran]) -> None:
    added = branch(ledger, 2)
    done = identify("--source", "agent-db", "--json")
    assert done.code == 0
    assert done.json()["incomplete"] == [added["association_id"]]


def test_what_has_ended_since_the_last_run(ledger: Ledger, identify: Callable[..., Ran], run: Run) -> None:
    ended = branch(ledger)
    ledger.delete(1)
    (event,) = identify("--source", "agent-db,docker", "--json").json()["identified"]
    assert (event["association_id"], event["late"], event["eni_id"]) == (ended["association_id"], True, eni_id(1, 1))
    assert run("who", eni_id(1, 1), "--json").json()["associations"][0]["task_family"] == "web"
    again = identify("--source", "agent-db,docker", "--json").json()
    assert (again["identified"], again["sources"][0]["asked"]) == ([], 0)


APP, SIDECAR = "a1" * 32, "b2" * 32


def save(database: Path, *containers: tuple[bytes, bytes], status: str = "RUNNING") -> None:
    """Commit what the agent has of the task: its ENI, its private DNS name, and these of its containers."""
    key, value = task(KEY, eni_id(1, 1), mac(1), vlan=101, status=status, dns="ip-10-0-32-5.eu-west-1.compute.internal")
    BoltWriter(str(database)).commit({b"tasks": {key: value}, b"metadata": {}, b"containers": dict(containers)})


def pause(docker_id: str) -> tuple[bytes, bytes]:
    return container(KEY, "~internal~ecs~pause", docker_id, "ecs-web-7-internalecspause-0a", kind="CNI_PAUSE")


def test_containers_are_recorded_as_they_are_made(
    ledger: Ledger, identify: Callable[..., Ran], run: Run, tmp_path: Path
) -> None:
    """At the ADD there is none; some are made long after others; those of the past are asked for once more."""
    added = branch(ledger, trunk_eni_id=TRUNK)
    database, pause_id = tmp_path / "agent.db", added["container_id"]

    def recorded() -> list[str]:
        (one,) = run("who", added["association_id"], "--json").json()["associations"]
        return [each["name"] for each in one["containers"] or ()]

    save(database, pause(pause_id))
    assert "private_dns_name ip-10-0-32-5.eu-west-1.compute.internal" in identify("--source", "agent-db").out
    assert recorded() == []
    app = container(KEY, "app", APP, "ecs-web-7-app-0b")
    save(database, pause(pause_id), app, container(KEY, "envoy", "", "ecs-web-7-envoy-0c"))
    done = identify("--source", "agent-db")
    assert done.out == f"{added['association_id'][6:14]}  agent-db: containers app\n1 recorded, 0 still incomplete\n"
    assert recorded() == ["app"]
    save(database, pause(pause_id), app, container(KEY, "envoy", SIDECAR, "ecs-web-7-envoy-0c"))
    (event,) = identify("--source", "agent-db", "--json").json()["identified"]
    assert event["containers"] == [{"id": SIDECAR, "name": "envoy", "docker_name": "ecs-web-7-envoy-0c"}]
    assert recorded() == ["app", "envoy"]
    before = ledger.file.read_bytes()
    assert "0 recorded" in identify("--source", "agent-db").out
    assert ledger.file.read_bytes() == before
    ledger.delete(1)
    last = container(KEY, "last", "c3" * 32, "ecs-web-7-last-0d")
    save(database, pause(pause_id), app, last, status="STOPPED")
    (event,) = identify("--source", "agent-db,docker", "--json").json()["identified"]
    assert (event["late"], [one["name"] for one in event["containers"]]) == (True, ["last"])
    assert recorded() == ["app", "envoy", "last"]
    assert identify("--source", "agent-db,docker", "--json").json()["sources"][0]["asked"] == 0
    assert "containers last (agent-db)" in run("log").out
    card = run("show", added["association_id"]).out
    for line in (
        "hostname  ip-10-0-32-5.eu-west-1.compute.internal",
        "          ecs-web-7-internalecspause-0a",
        f"shared by app  {APP[:12]}  ecs-web-7-app-0b",
        f"          envoy  {SIDECAR[:12]}  ecs-web-7-envoy-0c",
    ):
        assert f"\n  {line}\n" in card


def test_containers_of_another_task_with_the_same_mac(
    ledger: Ledger, identify: Callable[..., Ran], tmp_path: Path
) -> None:
    """The pause container of the association is another one: its task is not the one in the database."""
    branch(ledger, trunk_eni_id=TRUNK)
    save(tmp_path / "agent.db", pause("f" * 64), container(KEY, "app", APP, "ecs-web-7-app-0b"))
    (event,) = identify("--source", "agent-db", "--json").json()["identified"]
    assert not {"containers", "pause_name"}.intersection(event)


@pytest.mark.parametrize("how", ["superseded", "lost", "rebooted"])
def test_however_it_ended(ledger: Ledger, identify: Callable[..., Ran], how: str) -> None:
    ended = branch(ledger, boot_id="one")
    if how == "superseded":
        ledger.add(1, 101, branch_mac=mac(9), boot_id="one")
    elif how == "lost":
        ledger.write({"event": "lost", "reason": "verify", "association_id": ended["association_id"], "boot_id": "one"})
    else:
        ledger.add(2, 102, branch_mac=mac(9), boot_id="another")
    found = {
        event["association_id"]: event for event in identify("--source", "agent-db", "--json").json()["identified"]
    }
    assert found[ended["association_id"]]["late"] is True


def test_what_could_not_be_asked_is_asked_again(ledger: Ledger, identify: Callable[..., Ran], tmp_path: Path) -> None:
    database = tmp_path / "agent.db"
    sound = database.read_bytes()
    database.write_bytes(sound[:5000])
    branch(ledger)
    ledger.delete(1)
    for size in (5000, len(sound)):
        database.write_bytes(sound[:size])
        done = identify("--source", "agent-db,docker", "--json").json()
        assert len(done["identified"]) == (size == len(sound))


def test_what_ended_before_the_last_run_only_when_asked_for(
    ledger: Ledger, identify: Callable[..., Ran], tmp_path: Path
) -> None:
    """Who was asked, and does not know, is not asked at every run."""
    database = tmp_path / "agent.db"
    sound = database.read_bytes()
    BoltWriter(str(database)).commit({b"tasks": {}, b"metadata": {}})
    branch(ledger)
    ledger.delete(1)
    asked = identify("--source", "agent-db,docker", "--json").json()
    assert (asked["identified"], asked["sources"][0]["asked"]) == ([], 1)
    database.write_bytes(sound)
    assert identify("--source", "agent-db,docker", "--json").json()["sources"][0]["asked"] == 0
    (event,) = identify("--source", "agent-db", "--all", "--json").json()["identified"]
    assert (event["late"], event["eni_id"]) == (True, eni_id(1, 1))
    assert "0 recorded" in identify("--source", "agent-db", "--all").out


def test_a_dry_run_leaves_no_mark(ledger: Ledger, identify: Callable[..., Ran]) -> None:
    branch(ledger)
    ledger.delete(1)
    for _ in range(2):
        assert len(identify("--source", "agent-db", "--dry-run", "--json").json()["identified"]) == 1
    assert not (ledger.file.parent / "identified.json").exists()


@pytest.mark.parametrize("mark", ["", "{", "[]", '{"seq":"1","ts":1}', '{"seq":1}', "x" * 5000, '{"seq":9999,"ts":"2'])
def test_a_mark_that_is_none(ledger: Ledger, identify: Callable[..., Ran], mark: str) -> None:
    branch(ledger)
    ledger.delete(1)
    (ledger.file.parent / "identified.json").write_text(mark)
    assert len(identify("--source", "agent-db", "--json").json()["identified"]) == 1


def test_a_source_that_was_named_and_cannot_be_asked(ledger: Ledger, run: Run) -> None:
    branch(ledger)
    done = run("identify", "--source", "imds", env={"AWS_EC2_METADATA_DISABLED": "true"})
    assert (done.code, "error: the metadata service is disabled" in done.err) == (3, True)


def test_sources_that_were_not_named_may_be_missing(ledger: Ledger, run: Run) -> None:
    branch(ledger)
    env = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": ""}
    done = run("identify", "--timeout", "0.2", env=env)
    assert done.code == 0
    for name in ("agent-db", "docker", "imds", "ec2"):
        assert f"{name} skipped: " in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--source", "dns"), "there is no such source: 'dns'"),
        (("--source", ""), "no such source"),
        (("--source", "agent-db,"), "no such source"),
        (("--timeout", "0"), "0"),
        (("--timeout", "soon"), "soon"),
    ],
)
def test_bad_options(ledger: Ledger, run: Run, options: tuple[str, ...], words: str) -> None:
    branch(ledger)
    done = run("identify", *options)
    assert (done.code, words in done.err, "try: " in done.err) == (2, True, True)


def test_without_a_ledger(run: Run) -> None:
    done = run("identify")
    assert (done.code, "there is no ledger here" in done.err) == (3, True)
