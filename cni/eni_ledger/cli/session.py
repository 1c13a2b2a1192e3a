"""One run of a command: its screen, its clock, its ledger. Without click, because the front door carries this module.

Imports inside functions keep the front door's start short: a plain question pays only for what its answer needs.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from eni_ledger import timespec
from eni_ledger.base.errors import EniLedgerError, LedgerDamaged, StateDirError, UsageError
from eni_ledger.render.screen import Screen, complain, error_lines
from eni_ledger.render.text import age, clock, moment, safe, zone_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from eni_ledger.identity.docker import Sharer
    from eni_ledger.ledger.query.opening import Opened
    from eni_ledger.ledger.query.reader import LedgerReader
    from eni_ledger.ledger.read.origin import Copy
    from eni_ledger.render.progress import Progress

PROGRAM = "eni-ledger"
ZONE_VAR = "ENI_LEDGER_TZ"
_S_IFMT, _S_IFDIR = 0o170000, 0o040000  # inode(7); the module stat is not in the front door
_PATTERN = frozenset("*?[")


class Session:
    """One run of a reading command: the screen, the clock, the ledger.

    `zone` is the time zone that times are read and shown in: `tz`, else that of ZONE_VAR, else UTC; `chose_zone` is
    false for the last. Raises UsageError for a zone that is unknown or ambiguous.
    """

    def __init__(self, *state_dirs: str, no_color: bool = False, tz: str | None = None, sample: bool = False) -> None:
        self.zone = _zone(tz)
        self.chose_zone = tz is not None or bool(os.environ.get(ZONE_VAR))
        self.screen = Screen(no_color=no_color, zone=self.zone)
        self.now = datetime.now(UTC)
        self._state_dirs = state_dirs
        self._sample = sample
        self._paths: tuple[str, ...] = ()  # empty until `paths` has looked
        self._plain = False
        self._opened: Opened | None = None
        self._copy: list[Copy | None] = []  # empty until `copy` has looked

    def state_dir(self) -> str:
        """Return the active state directory. Raises UsageError, also for several ledgers and for files; ConfigError."""
        if self._sample:
            hint = "list, who, show, log and other questions take --sample"
            raise UsageError("this command does not take the sample ledger", hint=hint)
        paths = self.paths()
        if not self._plain:
            one = paths[0] if len(paths) == 1 else f"{len(paths)} ledgers"
            hint = "run it on one state directory; list, who, show, log and fsck take several, and copies of any form"
            raise UsageError("this command takes one state directory", f"{one} given", hint)
        return paths[0]

    def paths(self) -> tuple[str, ...]:
        """Return what names the ledgers: `--state-dir`, or the configured state directory, an absolute path.

        Raises UsageError, ConfigError.
        """
        if "" in self._state_dirs:
            raise UsageError("--state-dir is empty", hint=f"{PROGRAM} --state-dir /var/lib/eni-ledger list")
        if not self._paths:
            if len(self._state_dirs) > 1:
                self._paths = self._state_dirs
            else:
                from eni_ledger.base.config import load

                self._paths = (load(None, os.environ, *self._state_dirs).state_dir,)
            self._plain = _is_plain(self._paths)
        return self._paths

    def opened(self, progress: Progress | None = None) -> Opened | None:
        """Return the ledgers if they are not one state directory; opened once. Raises as `open_ledgers` does."""
        if self._sample:
            return self._open_sample(progress)
        paths = self.paths()
        if self._opened is None and not self._plain:
            from eni_ledger.base.config import load
            from eni_ledger.ledger.query.opening import open_ledgers  # not in the front door

            given = self._state_dirs or paths
            self._opened = open_ledgers(given, load(None, os.environ).state_dir, progress)
        return self._opened

    def _open_sample(self, progress: Progress | None) -> Opened:
        from eni_ledger.ledger.query.opening import open_sample  # not in the front door

        if self._state_dirs:
            raise UsageError("--sample and --state-dir exclude each other", hint=f"{PROGRAM} list --sample")
        self._opened = self._opened or open_sample(progress)
        return self._opened

    def close(self) -> None:
        """Close what is held open of archives and single segments."""
        if self._opened:
            self._opened.close()

    def ask(self, progress: Progress | None = None) -> LedgerReader:
        """Return the ledgers, for questions. It need not be there."""
        from eni_ledger.ledger.query.questions import History

        opened = self.opened(progress)
        return opened.history if opened else History(self.state_dir(), progress)

    def copy(self) -> Copy | None:
        """Return where the ledger was copied from; None when it is this host's own or there is none.

        Of several copies the latest; None if one of the ledgers is this host's own.

        Raises StateDirError, FutureFormat, ConfigError, OSError.
        """
        if opened := self.opened():
            copies = [part.copy for part in opened.history.parts if part.last]
            return copies[0] if None not in copies and copies else None
        if not self._copy:
            from eni_ledger.base.config import load
            from eni_ledger.ledger.read.origin import copied

            self._copy.append(copied(self.state_dir(), load(None, os.environ).state_dir))
        return self._copy[0]

    docker: Callable[[str], Sharer | None] | None = None
    """Looks up a container in Docker, where the command asks it."""

    def as_of(self) -> datetime:
        """Return the time up to which the ledger is complete: now, for a copy the time of its last event.

        Of several copies, the latest of these times.
        """
        if opened := self.opened():
            parts = [part for part in opened.history.parts if part.last]
            return max(((part.copy and moment(part.copy.ts)) or self.now for part in parts), default=self.now)
        copy = self.copy()
        return (moment(copy.ts) if copy else None) or self.now

    def introduce(self, *, as_json: bool) -> None:
        """Print the origin and date of a copy above the answer, with `as_json` on standard error.

        Warn if someone other than root can have changed the ledger. Raises as `copy` does.
        """
        if opened := self.opened():
            from eni_ledger.cli.several import introduce

            introduce(opened, self.screen, self.zone, as_json=as_json)
            return
        copy = self.copy()
        if copy and as_json:
            self.screen.note(f"note: {safe(copy.words(self.zone))}")
        elif copy:
            self.screen.prose(safe(copy.words(self.zone)))
            self.screen.line()
        if why := self._doubt():
            self.screen.note(f"note: {safe(self.state_dir())}: {why}")

    def _doubt(self) -> str:
        from eni_ledger.ledger.format.directory import open_state_dir, unsafe_because

        dir_fd = open_state_dir(self.state_dir(), reading=True)
        try:
            return unsafe_because(dir_fd)
        finally:
            os.close(dir_fd)

    def command(self, words: str) -> str:
        """Return the command line that runs `words` on the same ledger."""
        from shlex import quote

        if self._sample:
            return f"{PROGRAM} {words} --sample"
        return " ".join([PROGRAM, words, *(f"--state-dir {quote(path)}" for path in self._state_dirs)])

    def history(self, *, slow: bool = False) -> LedgerReader:
        """Return the ledger, for questions; `slow` shows a progress bar while all of it is read.

        Raises StateDirError when there is no ledger.
        """
        history = self.ask(self.progress() if slow else None)
        require_ledger(history)
        return history

    def progress(self) -> Progress:
        """Return the progress bar for reading the ledger."""
        from eni_ledger.render.progress import Progress

        return Progress(self.screen, "reading the ledger")

    def times(self, text: str | None, argument: str, *, future: bool = False) -> tuple[str, str] | None:
        """Return the first and last moment of `text`, the value of `argument`, as `ts` of the ledger; None for None.

        Raises UsageError for what is not a time, and for a time to come unless `future` allows it.
        """
        if text is None:
            return None
        first, last = timespec.span(text, argument=argument, now=self.now, zone=self.zone)
        if first > self.now and not future:
            now, then = (timespec.clock(each, self.zone, named=True) for each in (self.now, first))
            hint = f"it is {now} now; no zone means {zone_name(self.zone)}"
            raise UsageError(f"{argument} is in the future", then, hint)
        return timespec.to_ledger(first), timespec.to_ledger(last)

    def clock(self, ts: object) -> str:
        """Return a `ts` of the ledger in the zone of the session, with the zone behind it."""
        return clock(ts, self.zone, named=True)

    def echo_time(self, ts: str, what: str) -> None:
        """Print `what`, and the date and weekday that the user's words were resolved to, with the distance from now."""
        time = (moment(ts) or self.now).astimezone(self.zone)
        passed = (self.now - time).total_seconds()
        distance = f"{age(passed)} ago" if passed >= 0 else "in the future"
        self.screen.prose(f"{safe(what)} at {self.clock(ts)} ({time:%A}, {distance})")
        self.screen.line()


def _zone(tz: str | None) -> tzinfo:
    """Return the zone `tz`, that of ZONE_VAR for None, UTC without either. Raises UsageError."""
    text, argument = (os.environ.get(ZONE_VAR), ZONE_VAR) if tz is None else (tz, "--tz")
    if tz is None and not text:
        return UTC
    from eni_ledger import zones  # only for a zone that is asked for

    try:
        return zones.zone(text or "")
    except ValueError as exc:
        raise UsageError(f"{argument} is not a time zone", str(exc), zones.HINT) from None


def _is_plain(paths: tuple[str, ...]) -> bool:
    """Tell whether `paths` is one state directory, which may be missing, and nothing else."""
    if len(paths) != 1:
        return False
    try:
        return os.stat(paths[0]).st_mode & _S_IFMT == _S_IFDIR  # noqa: PTH116 - pathlib is not in the front door
    except OSError:
        return _PATTERN.isdisjoint(paths[0])


def require_ledger(history: LedgerReader) -> None:
    """Raise StateDirError when there is no ledger, which is not the same as an empty one."""
    if not history.is_there():
        raise StateDirError(
            "there is no ledger here",
            f"{history.state_dir} has no ledger.jsonl",
            "the first ADD creates it; name another directory with --state-dir or ENI_LEDGER_STATE_DIR",
        )


def tell(exc: EniLedgerError) -> None:
    """Print an error on standard error, after everything printed so far."""
    screen = Screen()
    screen.flush()
    for each in (exc, *(exc.others if isinstance(exc, LedgerDamaged) else ())):
        for line in error_lines(safe(str(each)), safe(each.hint), colour=screen.colour_err):
            complain(line)


def full_path(exc: LedgerDamaged, state_dir: str) -> LedgerDamaged:
    """Return the error with the full path of the damaged file."""
    if exc.path.startswith("/"):
        return exc
    from pathlib import Path

    path = Path(state_dir) / exc.path
    return LedgerDamaged(exc.msg, path=str(path), line=exc.line, offset=exc.offset)
