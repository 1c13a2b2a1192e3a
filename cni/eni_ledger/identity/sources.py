"""Who is asked for the identity of an attachment after it was made, and what becomes of the answers.

A source answers for one association with the keys of an `identify` event. Sources are asked in an order; the first that
knows a key gives it, and one that says otherwise than what is known disagrees: that is reported and never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from eni_ledger.errors import EniLedgerError, UsageError

Association = dict[str, Any]
Fields = dict[str, Any]

#: What an association is asked for; `wanted` says which of them one still lacks.
TASK = ("task_arn", "cluster", "task_family", "task_revision", "service")
KEYS = ("eni_id", "trunk_eni_id", *TASK)
NAMES = ("agent-db", "docker", "imds", "ec2")
#: Those that know of what has ended.
PAST = ("agent-db", "docker")
TIMEOUT_S = 2.0


class Unavailable(EniLedgerError):
    """A source cannot be asked; `hint` is what would have to be done.

    `absent` is whether there is none on this host, so that there is nothing to wait for.
    """

    def __init__(self, msg: str, details: str = "", hint: str = "", *, absent: bool = False) -> None:
        super().__init__(msg, details, hint)
        self.absent = absent


class Source(Protocol):
    """One who may know. `gives` are the keys that it can answer; `past` whether it knows of what has ended."""

    name: str
    gives: frozenset[str]
    past: bool

    def ask(self, association: Association) -> Fields:
        """Return what it knows, {} for nothing. Raises Unavailable when it cannot be asked."""


@dataclass(slots=True)
class Disagreement:
    """A source said `said` of `key`, which is `known` from `known_from` (``ledger`` or a source)."""

    association_id: str
    key: str
    known: Any
    known_from: str
    source: str
    said: Any


@dataclass(slots=True)
class Outcome:
    """What asking came to.

    `found`: an event each, to be written; `disagreements`; `asked`, `answered`: per source how often; `unavailable`:
    per source why it could not be asked; `incomplete`: association IDs that still lack something.
    """

    found: list[dict[str, Any]] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    unavailable: dict[str, Unavailable] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)


def is_branch(association: Association) -> bool:
    """Tell whether an association is of an ENI: it has a VLAN of a trunk, or is one that the agent moved as a whole.

    What else a CNI runtime makes, a bridge's veth for one, belongs to no ENI of its own.
    """
    return association.get("vlan_id") is not None or association.get("protocol") in ("vlan", "default")


def wanted(association: Association) -> set[str]:
    """Return which of `eni_id`, `task_arn` and, of a branch of a trunk, `trunk_eni_id` an association lacks.

    What is no branch lacks none.
    """
    if not is_branch(association):
        return set()
    keys = {"eni_id", "task_arn"} | ({"trunk_eni_id"} if association.get("trunk_mac") else set())
    return {key for key in keys if association.get(key) is None}


def make(names: Sequence[str], timeout_s: float = TIMEOUT_S, agent_db: str = "") -> list[Source]:
    """Return the sources of these names, in this order; `agent_db` is where the configuration has that file.

    Raises UsageError for a name that there is not.
    """
    found: list[Source] = []
    for name in names:
        match name:
            case "agent-db":
                from eni_ledger.identity.agent_source import PATHS, AgentDb

                found.append(AgentDb([*([agent_db] if agent_db else []), *PATHS], timeout_s))
            case "docker":
                from eni_ledger.identity.docker import Docker

                found.append(Docker(timeout_s=timeout_s))
            case "imds":
                from eni_ledger.identity.imds import Imds

                found.append(Imds(timeout_s=timeout_s))
            case "ec2":
                from eni_ledger.identity.ec2 import Ec2

                found.append(Ec2(timeout_s=timeout_s))
            case _:
                raise UsageError("there is no such source", f"{name!r:.40}", ", ".join(NAMES))
    return found


def identify(associations: Iterable[Association], sources: Sequence[Source]) -> Outcome:
    """Ask `sources` about each association that lacks something. A source that is unavailable is not asked again."""
    outcome = Outcome(asked={source.name: 0 for source in sources}, answered={source.name: 0 for source in sources})
    for association in associations:
        lacking = wanted(association)
        if not lacking:
            continue
        known = dict(association)
        known_from = {key: "ledger" for key in KEYS if known.get(key) is not None}
        for source in sources:
            fields = _ask(source, known, outcome) if lacking & source.gives else {}
            new = _compare(association["association_id"], fields, known, known_from, source.name, outcome)
            if new:
                about = {"event": "identify", "association_id": association["association_id"]}
                outcome.found.append({**about, **new, "identity_source": source.name})
            lacking = wanted(known)
        if lacking:
            outcome.incomplete.append(association["association_id"])
    return outcome


def _ask(source: Source, association: Association, outcome: Outcome) -> Fields:
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
    association_id: str, fields: Fields, known: Association, known_from: dict[str, str], name: str, outcome: Outcome
) -> Fields:
    """Return what of `fields` is new, put it to what is `known`, and report what contradicts that.

    A source that contradicts what is known of task or ENI means another one: then nothing it says of them counts.
    """
    clash = [key for key, value in fields.items() if known.get(key) is not None and str(known[key]) != str(value)]
    for key in clash:
        told = Disagreement(association_id, key, known[key], known_from.get(key, "ledger"), name, fields[key])
        outcome.disagreements.append(told)
    of_branch = ("eni_id", *TASK)
    other = any(key in of_branch for key in clash)
    new = {key: value for key, value in fields.items() if known.get(key) is None and not (other and key in of_branch)}
    known.update(new)
    known_from.update(dict.fromkeys(new, name))
    return new
