"""The agent's plugin logs into `import` events: what happened on this host before eni-ledger was there.

A line is imported once: its `import_id` comes from its text, and those that the ledger has, in whichever segment, are
left out. So is what the ledger recorded itself: the plugins go on with their log when eni-ledger stands before them.
The journal gets none of it: thousands of old events at once would only make it drop new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eni_ledger.base.config import Settings
from eni_ledger.base.errors import EniLedgerError, NotFound, StateDirError
from eni_ledger.ledger.format.live import happened_at
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write.batch import record_many
from eni_ledger.reconcile import agent_log
from eni_ledger.reconcile.agent_log import LogEvent

Event = dict[str, Any]
Place = tuple[str, Any, Any]

# The log has whole seconds of the call's start, the ledger the moment of its end; the agent gives both one minute.
_BEFORE_S = 2
_AFTER_S = agent_log.ADD_SECONDS_MAX
# The agent repeats a DEL; the ledger has the first one.
_REPEATED_S = 3600


class NoLog(EniLedgerError):
    """What is to be imported is no log of vpc-branch-eni."""


@dataclass(slots=True)
class ImportReport:
    """What came of an import.

    `read` is the parser's report; `imported` events by kind; `known` lines that were in the ledger already, `recorded`
    ones that the ledger has of its own, `unsettled` ones whose end the log does not have yet. The log speaks of the
    time from `first` to `last`.
    """

    files: list[str] = field(default_factory=list)
    read: agent_log.ParseReport = field(default_factory=agent_log.ParseReport)
    imported: dict[str, int] = field(default_factory=dict)
    known: int = 0
    recorded: int = 0
    unsettled: int = 0
    first: str | None = None
    last: str | None = None

    def document(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {
            "files": self.files,
            "lines": self.read.lines,
            "imported": self.imported,
            "known": self.known,
            "recorded": self.recorded,
            "unsettled": self.unsettled,
            "unread": self.read.unread,
            "unread_lines": self.read.unread_lines,
            **({"first": self.first, "last": self.last} if self.first else {}),
        }


def files_of(names: Iterable[str]) -> list[Path]:
    """Return the files that are meant, oldest first: a log's name stands for the hours it was rolled into, too.

    Raises NotFound for a name that stands for none, NoLog for that of a directory.
    """
    hint = "on an ECS host the log is /var/log/ecs/vpc-branch-eni.log"
    found: dict[Path, None] = {}
    for name in names:
        files = agent_log.rolled(Path(name))
        if not files and name and Path(name).is_dir():
            raise NoLog("it is a directory", name, f"name the log in it; {hint}")
        if not files:
            raise NotFound("there is no such log", name, hint)
        found |= dict.fromkeys(path.resolve() for path in files)
    return sorted(found, key=lambda path: (path.name, str(path)))


def import_files(
    settings: Settings,
    about: Event,
    files: list[Path],
    *,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Import the logs and return what came of it; with `dry_run` what would.

    `about` has what each event shall carry (`instance_id`). Raises OSError for a file that cannot be read, NoLog for
    one of which not a single line is a log's (then nothing was imported), LedgerError.
    """
    report = ImportReport([str(path) for path in files])
    events = _read(files, report, progress)
    if strange := [name for name in report.files if name in report.read.unread_lines and name not in report.read.logs]:
        hint = "name the plugins' logs only; on an ECS host that is /var/log/ecs/vpc-branch-eni.log"
        details = f"{', '.join(strange[:5])} has not one line as the plugins write them"
        raise NoLog("this is no log of vpc-branch-eni", details, hint)
    if not events:
        return report
    new = _new(events, History(settings.state_dir), report)
    for kind in ("add", "add_failed", "del"):
        report.imported[kind] = sum(event["imported_event"] == kind for event in new)
    if not dry_run:
        for _ in record_many(settings, about, new):
            pass
    return report


def _read(files: list[Path], report: ImportReport, progress: Callable[[int, int], None] | None) -> list[Event]:
    total, done = sum(path.stat().st_size for path in files), 0

    def tell(size: int) -> None:
        nonlocal done
        done += size
        if progress and report.read.lines % 512 == 0:
            progress(min(done, total - 1), total)  # packed files have more in them than their size

    found = []
    for event in agent_log.read(files, report.read, tell):
        if event.settled:
            found.append(_event(event))
        else:
            report.unsettled += 1
    if found:
        times = [event["occurred_ts"] for event in found]
        report.first, report.last = min(times), max(times)
    return found


def _event(found: LogEvent) -> Event:
    """Return the event to be written; an ADD's association is named by its line, the same in every import."""
    event = dict(found.fields)
    if event["imported_event"] == "add":
        event["association_id"] = f"assoc-{found.import_id[:17]}"
    return event


def _new(events: list[Event], history: History, report: ImportReport) -> list[Event]:
    """Return the events that the ledger does not have, each once."""
    known, recorded = _in_ledger(history, report.first or "", report.last or "")
    new = []
    for event in events:
        if event["import_id"] in known:
            report.known += 1
        elif _was_recorded(event, recorded):
            report.recorded += 1
        else:
            new.append(event)
        known.add(event["import_id"])
    return new


def _in_ledger(history: History, first: str, last: str) -> tuple[set[str], dict[Place, list[datetime]]]:
    """Return the import IDs in the ledger, and when it recorded what, as far as that can be in the log too."""
    known: set[str] = set()
    recorded: dict[Place, list[datetime]] = {}
    begin, end = _time(first) - timedelta(seconds=_REPEATED_S), _time(last) + timedelta(seconds=_AFTER_S)
    try:
        for event in history.events():
            if event["event"] == "import":
                known.add(event.get("import_id", ""))
            elif event["event"] in ("add", "add_failed", "del") and begin <= (when := _time(happened_at(event))) <= end:
                recorded.setdefault(_place(event["event"], event), []).append(when)
    except StateDirError:
        pass  # no ledger yet
    return known, recorded


def _place(kind: str, event: Event) -> Place:
    return kind, event.get("branch_mac"), event.get("vlan_id")


def _was_recorded(event: Event, recorded: dict[Place, list[datetime]]) -> bool:
    kind, occurred = event["imported_event"], _time(event["occurred_ts"])
    before = _REPEATED_S if kind == "del" else _BEFORE_S
    return any(
        -before <= (when - occurred).total_seconds() <= _AFTER_S for when in recorded.get(_place(kind, event), ())
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
