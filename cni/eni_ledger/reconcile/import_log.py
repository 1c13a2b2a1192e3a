"""Import the logs of the agent's plugins as an older ledger, `imported/` in the state directory.

A line is imported once: its `import_id` comes from its text. Events that the ledger recorded itself are left out, since
the plugins continue their log behind eni-ledger. Imported events are not sent to the journal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eni_ledger.base.config import Settings
from eni_ledger.base.errors import EniLedgerError, LedgerDamaged, NotFound, StateDirError, WriteFailed
from eni_ledger.ledger.format import segment
from eni_ledger.ledger.format.directory import open_state_dir, open_subdir, where, write_file
from eni_ledger.ledger.format.line import format_ts, now_us, parse_ts
from eni_ledger.ledger.format.live import happened_at
from eni_ledger.ledger.format.source import Directory
from eni_ledger.ledger.query import imported
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read import continuity
from eni_ledger.ledger.read.snapshot import Snapshot
from eni_ledger.ledger.write.admission import admit
from eni_ledger.ledger.write.lock import lock_patiently
from eni_ledger.ledger.write.recovery import QUARANTINE
from eni_ledger.reconcile import agent_log
from eni_ledger.reconcile.agent_log import LogEvent
from eni_ledger.timespec import to_ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft, Fields
    from eni_ledger.ledger.query.reader import LedgerReader

Place = tuple[str, Any, Any]

# The log has whole seconds of the call's start, the ledger the moment of its end; the agent gives both one minute.
_BEFORE_S = 2
_AFTER_S = agent_log.ADD_SECONDS_MAX
# The agent repeats a DEL; the ledger has the first one.
_REPEATED_S = 3600


class NoLog(EniLedgerError):
    """The file to import is not a log of vpc-branch-eni."""


@dataclass(slots=True)
class ImportReport:
    """The result of an import.

    `read` is the parser's report; `imported` events by kind; `known` lines that were imported before, `recorded`
    ones that the ledger recorded itself, `unsettled` ones whose end is not in the log yet. The log covers `first` to
    `last`.
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
    """Return the files to read, oldest first: the name of a log also stands for the files it was rolled into.

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
    about: Fields,
    files: list[Path],
    *,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Import the logs and return the report; with `dry_run` change nothing.

    `about` has keys for each event (`instance_id`). Raises OSError for a file that cannot be read, NoLog for
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
    new = _new(events, settings.state_dir, report)
    for kind in ("add", "add_failed", "del"):
        report.imported[kind] = sum(event["event"] == kind for event in new)
    if new and not dry_run:
        _replace(settings, [{**about, **event} for event in new], format_ts(int(report.read.newest * 1_000_000)))
    return report


def keep(settings: Settings, *, dry_run: bool = False) -> str:
    """Copy `import` events of 0.1.0 to the imported history, and remove that when all of it is beyond `retain_days`.

    Return ``copied``, ``removed`` or, if nothing was done, an empty text; with `dry_run` change nothing. Raises
    StateDirError, LockTimeout, WriteFailed.
    """
    with Snapshot(settings.state_dir) as snapshot:
        events, log_ends = imported.logged(snapshot)
        old = any(continuity.contains_mark(part, "import") for part in snapshot.segments)
        fd = imported.open_history(snapshot.source)
    if fd >= 0:
        os.close(fd)
    if not events:
        return ""
    last = max(log_ends, *(event["ts"] for event in events))
    if parse_ts(last) < now_us() - settings.retain_days * 86_400_000_000:
        if fd >= 0 and not dry_run:
            os.unlink(os.path.join(settings.state_dir, imported.PATH))
        return "removed" if fd >= 0 else ""
    return "copied" if old and _replace(settings, dry_run=dry_run) else ""


def _replace(settings: Settings, new: Iterable[Fields] = (), log_ends: str = "", *, dry_run: bool = False) -> bool:
    """Write the imported history again, with the `new` events; return whether that changes it.

    It is written under a temporary name, synced and renamed. One that is damaged is copied to the quarantine before.
    """
    dir_fd = open_state_dir(settings.state_dir, create=True)
    imported_fd = lock_fd = -1
    try:
        admit(dir_fd, settings.state_dir)
        if not dry_run:
            imported_fd = open_subdir(dir_fd, imported.DIRECTORY)
            lock_fd = lock_patiently(imported_fd, settings)
        with Snapshot(settings.state_dir) as snapshot:
            data = imported.made(snapshot, new, log_ends)
        before, sound = _present(dir_fd)
        if data != before and not dry_run:
            if not sound:
                _keep_aside(dir_fd, before)
            write_file(imported_fd, segment.ACTIVE, data, sync=True)
        return data != before
    except OSError as exc:
        raise WriteFailed("the imported history could not be written", where(settings, exc)) from exc
    finally:
        for fd in (lock_fd, imported_fd, dir_fd):
            if fd >= 0:
                os.close(fd)


def _present(dir_fd: int) -> tuple[bytes, bool]:
    """Return the bytes of the imported history, and whether each line matches its CRC."""
    fd = imported.open_history(Directory(dir_fd))
    if fd < 0:
        return b"", True
    with os.fdopen(fd, "rb") as file:
        data = file.read()
        damage: list[LedgerDamaged] = []
        for _ in segment.walk(file.fileno(), imported.PATH, len(data), damage=damage):
            pass
    return data, not damage


def _keep_aside(dir_fd: int, data: bytes) -> None:
    quarantine_fd = open_subdir(dir_fd, QUARANTINE)
    try:
        write_file(quarantine_fd, f"imported-{now_us():016}-{segment.ACTIVE}", data, sync=True)
    finally:
        os.close(quarantine_fd)


def _read(files: list[Path], report: ImportReport, progress: Callable[[int, int], None] | None) -> list[Draft]:
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
        times = [event["ts"] for event in found]
        report.first, report.last = min(times), max(times)
    return found


def _event(found: LogEvent) -> Draft:
    """Return the event to be written; an ADD's association is named by its line, the same in every import."""
    event = dict(found.fields)
    if event["event"] == "add":
        event["association_id"] = f"assoc-{found.import_id[:17]}"
    return event


def _new(events: list[Draft], state_dir: str, report: ImportReport) -> list[Draft]:
    """Return the events that neither the imported history nor the ledger has, each once."""
    known: set[str] = set()
    recorded: dict[Place, list[datetime]] = {}
    try:
        with Snapshot(state_dir) as snapshot:
            known = {event["import_id"] for event in imported.logged(snapshot)[0]}
        recorded = _recorded(History(state_dir), report.first or "", report.last or "")
    except StateDirError:
        pass  # no ledger yet
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


def _recorded(history: LedgerReader, first: str, last: str) -> dict[Place, list[datetime]]:
    """Return the events that the ledger recorded, with times, as far as a log from `first` to `last` can have them."""
    recorded: dict[Place, list[datetime]] = {}
    begin, end = _time(first) - timedelta(seconds=_REPEATED_S), _time(last) + timedelta(seconds=_AFTER_S)
    # By the time of writing, which in the spool comes later.
    for event in history.events(to_ledger(begin), imported=False):
        if event["event"] in ("add", "add_failed", "del") and begin <= (when := _time(happened_at(event))) <= end:
            recorded.setdefault((event["event"], *_of(event)), []).append(when)
    return recorded


def _of(event: Fields) -> tuple[Any, Any]:
    return event.get("branch_mac"), event.get("vlan_id")


def _was_recorded(event: Fields, recorded: dict[Place, list[datetime]]) -> bool:
    kind, occurred = event["event"], _time(event["ts"])
    before = _REPEATED_S if kind == "del" else _BEFORE_S
    return any(
        -before <= (when - occurred).total_seconds() <= _AFTER_S for when in recorded.get((kind, *_of(event)), ())
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
