"""What has to hold after something went wrong for a writer: at once for readers, and once the next writer has been."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eni_ledger.ledger.query.questions import History
from helpers.ledgers import add_event, plain, prove, segments, state_file
from ledger.torture.faults import Server
from ledger.torture.scenarios import ACTED, Before, Scenario, waiting
from ledger.torture.writers import unlike

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft

SECOND, NEXT = 60, 61
"""The attachments of the writers that come after."""


def events_of(where: Path) -> list[Draft]:
    """Return the events of all lines that are JSON, proven or not."""
    found = []
    for path in segments(where):
        for line in plain(path).splitlines(keepends=True):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


def acknowledged(said: Any) -> list[Draft]:
    """Return the events in what `record` or `record_gc` returned."""
    return said if isinstance(said, list) else [said] if said else []


def recovered(where: Path, said: Iterable[Draft]) -> list[str]:
    """Return a phrase for each acknowledged event that is not in the ledger once and unchanged."""
    events, wrong = events_of(where), []
    for event in said:
        key = (event["event"], event.get("container_id"))
        found = [each for each in events if (each["event"], each.get("container_id")) == key]
        if len(found) != 1:
            wrong.append(f"acknowledged {key} is there {len(found)} times")
        elif different := unlike(event, found[0]):
            wrong.append(f"{key}: {', '.join(different)}")
    return wrong


def whole(where: Path, *, sound: bool) -> list[str]:
    """Return what is wrong with the ledger as a whole: nothing twice, sound where it was, state.json what it should."""
    history = History(str(where))
    wrong = []
    if left := waiting(where):
        wrong.append(f"left in the spool: {left}")
    if sound:
        try:
            events = prove(where)
        except AssertionError as exc:
            return [*wrong, f"it cannot be proven: {exc}"]
        for n in (ACTED, SECOND, NEXT):
            count = sum(1 for each in events if each["event"] == "add" and each["container_id"] == f"{n:064x}")
            if count > 1 or (n == NEXT and count != 1):
                wrong.append(f"the add of {n} is there {count} times")
        if [event["seq"] for event in history.events()] != [event["seq"] for event in events]:
            wrong.append("History has other events than the files")
    live = {each["association_id"]: each["container_id"] for each in history.live()}
    kept = {each["association_id"]: each["container_id"] for each in state_file(where)["associations"]}
    if live != kept or f"{NEXT:064x}" not in live.values():
        wrong.append(f"live are {live}, state.json has {kept}")
    return wrong


def next_writer(
    writers: Server, scenario: Scenario, where: Path, *befores: Before, inside: Path | None = None
) -> list[str]:
    """Have a writer come to whom nothing happens; return what is not as promised then, compared to `befores`.

    `inside` is the state directory as the writers see it, where that is another path.
    """
    answer = writers.ask(["record", add_event(NEXT)], inside or where)
    if not answer.get("said") or answer["said"].get("spooled"):
        return [f"the next writer: {answer}"]
    now = Before.of(where)
    wrong = []
    for number, before in enumerate(befores):
        wrong += before.lost(now, retains=scenario.retains, settled=not number)
    wrong += whole(where, sound=not befores[0].damage)
    return [f"after the next writer: {each}" for each in wrong]


def after_a_fault(
    writers: Server, scenario: Scenario, where: Path, before: Before, answer: dict[str, Any], inside: Path | None = None
) -> list[str]:
    """Return what is not as promised after a call that was answered, whatever failed in it."""
    wrong = []
    if answer["status"] or ("said" in answer) == ("error" in answer):
        wrong.append(f"the writer: {answer}")
    wrong += synced_again(answer["calls"])
    failed = Before.of(where)
    wrong += [f"before the next writer: {each}" for each in before.lost(failed, retains=scenario.retains)]
    wrong += next_writer(writers, scenario, where, before, failed, inside=inside)
    return wrong + recovered(where, acknowledged(answer.get("said")))


def synced_again(calls: list[dict[str, Any]]) -> list[str]:
    """Return a phrase for each descriptor on which a sync was tried again after one had failed.

    The kernel tells of a failed write-back once; after that a sync succeeds though the data is lost.
    """
    wrong, failed = [], set()
    for call in calls:
        fd = call["about"]
        if call["call"] == "close":
            failed.discard(fd)
        elif call["call"] in ("fsync", "fdatasync"):
            if fd in failed:
                wrong.append(f"{call['call']} of {call['file']} again on descriptor {fd}, after one had failed")
            if call["failed"]:
                failed.add(fd)
    return wrong


def counted(answer: dict[str, Any]) -> Counter[str]:
    """Return in the words of the table how a writer with a fault came out of it."""
    said = acknowledged(answer.get("said"))
    if any(event.get("spooled") for event in said):
        return Counter({"went to the spool": 1})
    return Counter({"recorded nevertheless" if "said" in answer else "refused and told": 1})
