"""Asks sources for the ENI and task of associations, compares the answers and returns the events to record.

Imports inside functions: only the sources that are asked are loaded; boto3 is optional.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eni_ledger.base.errors import UsageError
from eni_ledger.identity.source import (
    ATTACHED,
    KEYS,
    NAMES,
    TASK,
    TIMEOUT_S,
    Source,
    Unavailable,
    lacks_containers,
    wanted,
)
from eni_ledger.ledger.format.live import CONTAINERS, new_containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft, Fields


@dataclass(slots=True)
class Disagreement:
    """`source` answered `said` for `key`, but `known_from` (``ledger`` or a source) has `known`."""

    association_id: str
    key: str
    known: Any
    known_from: str
    source: str
    said: Any


@dataclass(slots=True)
class Outcome:
    """The result of asking the sources.

    `events`: the identify events to record; `disagreements`; `asked`, `answered`: numbers per source; `unavailable`:
    why a source could not be asked; `incomplete`: IDs of associations that still lack a value of `wanted`;
    `without_containers`: IDs of those whose containers were asked for and no source knew.
    """

    events: list[Draft] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    unavailable: dict[str, Unavailable] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    without_containers: list[str] = field(default_factory=list)


def make(names: Sequence[str], timeout_s: float = TIMEOUT_S, agent_db: str = "") -> list[Source]:
    """Return the sources of these names, in this order; `agent_db` is where the configuration has that file.

    Raises UsageError for an unknown name.
    """
    sources: list[Source] = []
    for name in names:
        match name:
            case "agent-db":
                from eni_ledger.identity.agent_db_source import PATHS, AgentDb

                sources.append(AgentDb([*([agent_db] if agent_db else []), *PATHS], timeout_s))
            case "docker":
                from eni_ledger.identity.docker import DockerSource

                sources.append(DockerSource(timeout_s=timeout_s))
            case "imds":
                from eni_ledger.identity.imds import Imds

                sources.append(Imds(timeout_s=timeout_s))
            case "ec2":
                from eni_ledger.identity.ec2 import Ec2

                sources.append(Ec2(timeout_s=timeout_s))
            case _:
                raise UsageError("there is no such source", f"{name!r:.40}", ", ".join(NAMES))
    return sources


def identify(associations: Iterable[Fields], sources: Sequence[Source]) -> Outcome:
    """Ask `sources` about each association that lacks a value. A source that is unavailable is not asked again."""
    outcome = Outcome(asked={source.name: 0 for source in sources}, answered={source.name: 0 for source in sources})
    for association in associations:
        unsettled = {CONTAINERS} if lacks_containers(association) else set()
        lacking = wanted(association) | unsettled
        if not lacking:
            continue
        known: Draft = dict(association)
        known_from = {key: "ledger" for key in KEYS if known.get(key) is not None}
        for source in sources:
            fields = _ask(source, known, outcome) if lacking & source.gives else {}
            new = _compare(association["association_id"], fields, known, known_from, source.name, outcome)
            if new:
                about = {"event": "identify", "association_id": association["association_id"]}
                outcome.events.append({**about, **new, "identity_source": source.name})
            if CONTAINERS in fields:
                unsettled = set()
            lacking = wanted(known) | unsettled
        if wanted(known):
            outcome.incomplete.append(association["association_id"])
        if unsettled:
            outcome.without_containers.append(association["association_id"])
    return outcome


def _ask(source: Source, association: Fields, outcome: Outcome) -> Fields:
    if source.name in outcome.unavailable or ("until" in association and not source.past):
        return {}
    try:
        outcome.asked[source.name] += 1
        fields = {key: value for key, value in source.ask(association).items() if value is not None}
    except Unavailable as exc:
        outcome.unavailable[source.name] = exc
        return {}
    outcome.answered[source.name] += bool(fields)
    return fields


def _compare(
    association_id: str, fields: Fields, known: Draft, known_from: dict[str, str], name: str, outcome: Outcome
) -> Fields:
    """Return the new values in `fields`; add them to `known` and report the values that contradict it.

    A source that contradicts the known task or ENI means another one: then none of its task and ENI values count.
    Containers do not contradict: those are new that are not known yet.
    """
    scalars = {key: value for key, value in fields.items() if key != CONTAINERS}
    clash = [key for key, value in scalars.items() if known.get(key) is not None and str(known[key]) != str(value)]
    for key in clash:
        disagreement = Disagreement(association_id, key, known[key], known_from.get(key, "ledger"), name, fields[key])
        outcome.disagreements.append(disagreement)
    of_task = ("eni_id", *TASK)
    of_another = (*of_task, *ATTACHED) if any(key in of_task for key in clash) else ()
    new = {key: value for key, value in scalars.items() if known.get(key) is None and key not in of_another}
    known.update(new)
    have = known.get(CONTAINERS) or []
    if not of_another and (more := new_containers(have, fields.get(CONTAINERS))):
        new[CONTAINERS] = more
        known[CONTAINERS] = [*have, *more]
    known_from.update(dict.fromkeys(new, name))
    return new
