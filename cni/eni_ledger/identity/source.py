"""Sources of an attachment's identity: where `identify` looks up ENI and task after the ADD.

A source answers for one association with the keys of an `identify` event. Sources are asked in order. The first that
knows a key gives its value; a later one with another value disagrees: that is reported and never written.
"""

from __future__ import annotations

from typing import Protocol

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.ledger.format.line import now_us, parse_ts
from eni_ledger.ledger.format.live import CONTAINERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

#: The keys that sources answer; `wanted` returns those that an association lacks.
TASK = ("task_arn", "cluster", "task_family", "task_revision", "service")
ATTACHED = ("private_dns_name", "pause_name", CONTAINERS)
KEYS = ("eni_id", "trunk_eni_id", *TASK, *ATTACHED)
NAMES = ("agent-db", "docker", "imds", "ec2")
#: The sources that know ended associations.
PAST = ("agent-db", "docker")
TIMEOUT_S = 2.0

_SETTLED_S = 3600
_FORGOTTEN_S = 24 * 3600


class Unavailable(EniLedgerError):
    """A source cannot be asked; `hint` says what to do about it.

    `absent`: this host does not have the source, so that waiting for it is useless.
    """

    def __init__(self, msg: str, details: str = "", hint: str = "", *, absent: bool = False) -> None:
        super().__init__(msg, details, hint)
        self.absent = absent


class Source(Protocol):
    """A source. `gives` are the keys that it can answer; `past` is whether it knows ended associations."""

    name: str
    gives: frozenset[str]
    past: bool

    def ask(self, association: Fields) -> Fields:
        """Return the known values, {} if there are none. Raises Unavailable."""


def is_branch(association: Fields) -> bool:
    """Return whether an association has an ENI: a trunk's VLAN, or an ENI that the agent moved into the task whole.

    Other attachments of a CNI runtime, such as a bridge's veth, have none.
    """
    return association.get("vlan_id") is not None or association.get("protocol") in ("vlan", "default")


def wanted(association: Fields) -> set[str]:
    """Return which of `eni_id`, `task_arn` and, of a branch of a trunk, `trunk_eni_id` an association lacks.

    An association without an ENI lacks none of them.
    """
    if not is_branch(association):
        return set()
    keys = {"eni_id", "task_arn"} | ({"trunk_eni_id"} if association.get("trunk_mac") else set())
    return {key for key in keys if association.get(key) is None}


def lacks_containers(association: Fields) -> bool:
    """Return whether agent.db and Docker are asked for the containers of an association's task.

    They are made after the ADD, one by one. So they are asked for while none is known, in the first hour, and once more
    within a day of the end: the agent forgets a stopped task after three hours, unless it is configured otherwise.
    """
    if not is_branch(association):
        return False
    if "until" in association:
        return _age_s(association["until"]) < _FORGOTTEN_S
    return not association.get(CONTAINERS) or _age_s(association.get("since")) < _SETTLED_S


def _age_s(ts: object) -> float:
    """Return the seconds since `ts`, 0 for what is no time stamp."""
    try:
        return (now_us() - parse_ts(str(ts))) / 1e6
    except ValueError:
        return 0.0
