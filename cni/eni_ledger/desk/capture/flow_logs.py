"""VPC Flow Logs: adds task, family and container to each record, by its interface ID and its interval.

Source: "Flow log records" in the Amazon VPC User Guide. A record has its fields separated by spaces, ``-`` for what is
not known. Without a header it is of the default format, version 2; before records of another format stands a header
with the names of the fields, as at the beginning of each file that is delivered to S3. `start` and `end` are Unix
seconds.
"""

from __future__ import annotations

import re
from typing import Any

from eni_ledger.desk.capture.stamps import SECOND
from eni_ledger.desk.capture.timeline import ENI, Timeline
from eni_ledger.render.text import family, safe, task_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association

DEFAULT = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets"),
    *("bytes", "start", "end", "action", "log-status"),
)
"""Fields of the default format."""

_OTHERS = (
    *("vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr", "region", "az-id"),
    *("sublocation-type", "sublocation-id", "pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction"),
    *("traffic-path", "ecs-cluster-arn", "ecs-cluster-name", "ecs-container-instance-arn"),
    *("ecs-container-instance-id", "ecs-container-id", "ecs-second-container-id", "ecs-service-name"),
    *("ecs-task-definition-arn", "ecs-task-arn", "ecs-task-id", "reject-reason", "resource-id", "encryption-status"),
)
ADDED = ("eni-ledger-task", "eni-ledger-family", "eni-ledger-container")
"""Fields that are added, in their order. AWS has fields of its own for tasks, which these must not be taken for."""

_KNOWN = frozenset((*DEFAULT, *_OTHERS))
_RECORD = re.compile(r"(?:.* )?(2 (?:\d{12}|unknown) eni-[0-9a-f]+(?: \S+){7} \d{9,11} \d{9,11} \S+ \S+)\s*")
_SECONDS = re.compile(r"\d{1,11}")


class FlowLogs:
    """Reads the records of one stream. `fixed` is the moment of records without a time, None when there is none.

    `untimed` counts records whose format has neither time nor interface, `early` those from before the ledger begins.
    """

    def __init__(self, timeline: Timeline, fixed: int | None = None) -> None:
        self._timeline, self._fixed = timeline, fixed
        self._fields: tuple[str, ...] | None = None
        self.untimed = self.early = 0

    def read(self, line: str) -> tuple[dict[str, str], list[Association]] | None:
        """Return the fields of a record and the associations that had its interface; None for another line.

        Of a header the fields are empty. Raises as `Timeline.cover` does.
        """
        words = line.split()
        if len(words) > 1 and _KNOWN.issuperset(words):
            self._fields = tuple(words)
            return {}, []
        if self._fields and len(words) == len(self._fields):
            record = dict(zip(self._fields, words, strict=True))
        elif match := _RECORD.fullmatch(line):
            record = dict(zip(DEFAULT, match[1].split(" "), strict=True))
        else:
            return None
        return record, self._associations(record)

    def _associations(self, record: dict[str, str]) -> list[Association]:
        start, end = (_seconds(record.get(name)) for name in ("start", "end"))
        first = start if start is not None else end if end is not None else self._fixed
        last = end + SECOND - 1 if end is not None else first
        if first is None or last is None or "interface-id" not in record:
            self.untimed += 1
            return []
        self._timeline.cover(min(first, last), max(first, last))
        begin = self._timeline.known.begin
        self.early += begin is None or first < begin
        return self._timeline.lane(ENI, record["interface-id"]).between(first, last)


def added(associations: list[Association]) -> str:
    """Return what stands behind a record: the fields `ADDED`, with commas between those of several associations."""
    columns = (
        [task_id(one.get("task_arn") or "") for one in associations],
        [family(one) for one in associations],
        [safe(one.get("container_id") or "") for one in associations],
    )
    return " ".join(
        ",".join(dict.fromkeys("_".join(value.split()) or "-" for value in column)) or "-" for column in columns
    )


def document(record: dict[str, str], associations: list[Association], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return a record as JSON: its own fields, and `fields` of each association."""
    return {**record, "associations": [{key: one.get(key) for key in fields} for one in associations]}


def _seconds(text: str | None) -> int | None:
    """Return a time of a record in microseconds, None for none."""
    return int(text) * SECOND if text and _SECONDS.fullmatch(text) else None
