"""`eni-ledger identify`: find the ENI ID, task and trunk of associations recorded without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eni_ledger.cli.asking import form_of, form_options
from eni_ledger.cli.options import Command, reading, session_of
from eni_ledger.cli.present import print_document
from eni_ledger.cli.recording import all_associations, host_fields, refuse_copy, send_to_journal, settings_of
from eni_ledger.cli.session import Session
from eni_ledger.cli.words import listed
from eni_ledger.identity.identify import Outcome, identify, make
from eni_ledger.identity.source import KEYS, NAMES, PAST, TIMEOUT_S, Unavailable
from eni_ledger.ledger.format.live import CONTAINERS, new_containers
from eni_ledger.ledger.query.ended_since import Ended, ended, leave_mark
from eni_ledger.ledger.write.batch import record_found
from eni_ledger.render.text import container_names, safe, short_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Association, Draft, Event, Fields

DISAGREE = 1

EXAMPLES = [
    ("eni-ledger identify", "asks all sources in order and records the answers"),
    ("eni-ledger identify --source agent-db,docker --dry-run", "asks these two and records nothing"),
    ("eni-ledger identify --all --json | jq .incomplete", "asks about ended associations too; what is still unknown"),
]


@click.command(cls=Command, examples=EXAMPLES, short_help="Find out the ENI, task and trunk of associations.")
@click.option(
    "--source",
    "sources",
    metavar="NAME[,NAME...]",
    shell_complete=listed(*NAMES),
    help=f"Sources to ask, in this order. Default: {', '.join(NAMES)}.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 60, min_open=True),
    default=TIMEOUT_S,
    metavar="SECONDS",
    help="Time limit for each answer, 2 by default. A source that does not answer is not asked again.",
)
@click.option("--all", "everything", is_flag=True, help="Also ask about associations that ended before the last run.")
@click.option("--dry-run", is_flag=True, help="Record nothing.")
@form_options
@reading
@click.pass_context
def command(
    ctx: click.Context,
    /,
    sources: str | None,
    timeout: float,
    everything: bool,
    dry_run: bool,
    state_dir: str | None,
    no_color: bool,
    **options: Any,
) -> int:
    """Find the ENI ID, task and trunk ENI ID that were not known at ADD, and record them as identify events.

    Sources: agent-db (the ECS agent's database), docker (the pause container and those that share its network), imds
    (the trunk's ENI ID), ec2 (DescribeNetworkInterfaces; needs boto3). All are asked about live associations; agent-db
    and docker also about those that ended since the last run that could ask both. A known value is never overwritten: a
    source that contradicts it is reported.

    agent-db and docker also know the containers of the task, which are created after the ADD. They are asked for them
    while none is known, during the first hour, and once more after the end.

    Exit status 0, also when values are still unknown; 1 when sources disagree; 3 when a source named with --source
    cannot be asked.
    """
    session, form = session_of(ctx, state_dir, no_color), form_of(options)
    settings = settings_of(session)
    refuse_copy(session)
    asked = make(
        [name.strip() for name in sources.split(",")] if sources is not None else NAMES, timeout, settings.agent_db
    )
    history = session.history(slow=everything)
    live = [] if everything else history.live()
    run = ended(history.apart()[0])
    since = {association["association_id"]: association for association in (*live, *run.associations)}
    associations = all_associations(history) if everything else list(since.values())
    outcome = identify(associations, asked)
    written = [] if dry_run else _record(settings, outcome.events)
    if not dry_run and _asked_all(outcome, run):
        leave_mark(settings.state_dir, run)
    send_to_journal(settings, written, associations)
    if not form.for_people:
        document = _document(outcome, outcome.events if dry_run else written, dry_run=dry_run)
        print_document(session.screen, form, document, rows="identified")
    else:
        _print(outcome, outcome.events if dry_run else written, session, dry_run=dry_run)
    if sources and outcome.unavailable:
        raise next(iter(outcome.unavailable.values()))
    return DISAGREE if outcome.disagreements else 0


def _asked_all(outcome: Outcome, run: Ended) -> bool:
    """Return whether every source that knows ended associations was asked: then the next run need not ask again."""
    ended_ids = {association["association_id"] for association in run.associations}
    unasked = [name for name in PAST if name not in outcome.asked]
    waiting = [name for name in PAST if _may_come(outcome.unavailable.get(name))]
    if ended_ids.intersection(outcome.incomplete) and (unasked or waiting):
        return False
    # One source has all containers, where it has any.
    return not (ended_ids.intersection(outcome.without_containers) and (len(unasked) == len(PAST) or waiting))


def _may_come(why: Unavailable | None) -> bool:
    return why is not None and not why.absent


def _record(settings: Settings, identified: list[Draft]) -> list[Event]:
    """Record the identify events and return them; those of ended associations are `late`, known values are left out."""
    if not identified:
        return []

    def choose(live: list[Association]) -> list[Draft]:
        by_id = {association["association_id"]: association for association in live}
        chosen = []
        for event in identified:
            association = by_id.get(event["association_id"])
            if association is None:
                chosen.append({**event, "late": True})
            elif any(association.get(key) is None for key in event if key not in _ABOUT) or new_containers(
                association.get(CONTAINERS), event.get(CONTAINERS)
            ):
                chosen.append(event)
        return chosen

    return record_found(settings, host_fields(), choose)


_ABOUT = ("event", "association_id", "identity_source")


def _document(outcome: Outcome, events: Sequence[Fields], *, dry_run: bool) -> dict[str, Any]:
    sources = []
    for name, count in outcome.asked.items():
        why = outcome.unavailable.get(name)
        reason = {"unavailable": str(why), "hint": why.hint} if why else {}
        sources.append({"source": name, "asked": count, "answered": outcome.answered[name], **reason})
    return {
        "dry_run": dry_run,
        "sources": sources,
        "identified": events,
        "disagreements": [
            {
                "association_id": disagreement.association_id,
                "key": disagreement.key,
                "known": disagreement.known,
                "known_from": disagreement.known_from,
                "source": disagreement.source,
                "said": disagreement.said,
            }
            for disagreement in outcome.disagreements
        ],
        "incomplete": outcome.incomplete,
    }


def _print(outcome: Outcome, events: Sequence[Fields], session: Session, *, dry_run: bool) -> None:
    screen = session.screen
    for event in events:
        fields = ", ".join(f"{key} {_value(event, key)}" for key in _given(event))
        screen.prose(f"{short_id(event['association_id'])}  {safe(event['identity_source'])}: {fields}")
    for disagreement in outcome.disagreements:
        answers = f"{disagreement.source} says {safe(disagreement.said)}"
        answers += f", {disagreement.known_from} {safe(disagreement.known)}"
        words = f"{short_id(disagreement.association_id)}  {disagreement.key}: {answers}; the recorded value stays"
        screen.prose(words, "bold red", indent=10)
    done = "would be recorded" if dry_run else "recorded"
    screen.prose(f"{len(events)} {done}, {len(outcome.incomplete)} still incomplete")
    for name, why in outcome.unavailable.items():
        screen.note(f"{name} skipped: {safe(_sentence(why))}")


def _value(event: Fields, key: str) -> str:
    """Return a value in a sentence; of containers their names."""
    return container_names(event) if key == CONTAINERS else safe(event[key])


def _given(event: Fields) -> list[str]:
    return [key for key in KEYS if event.get(key) is not None]


def _sentence(why: Unavailable) -> str:
    return f"{why}; {why.hint}" if why.hint else str(why)
