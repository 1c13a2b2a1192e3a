"""What `--state-dir` names: state directories, patterns of them, segments by themselves."""

from __future__ import annotations

import os
import select
import stat

from eni_ledger.base.errors import EniLedgerError, StateDirError
from eni_ledger.ledger.format import gzip_members, segment
from eni_ledger.ledger.format.directory import open_state_dir, unsafe_because
from eni_ledger.ledger.format.source import Directory
from eni_ledger.ledger.query.many import Many, Part
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read import origin
from eni_ledger.ledger.read.held_files import HeldFiles
from eni_ledger.ledger.read.inflated import Inflated, Limits
from eni_ledger.ledger.read.tarball import BLOCK, hold_rest, is_tar, read_tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eni_ledger.base.events import Association
    from eni_ledger.ledger.read.snapshot import Snapshot

    Progress = Callable[[int, int], None]

_PATTERN = frozenset("*?[")
_LOOK = 512
_SAMPLE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "sample")
_MOST_NOTES = 5


class Opened:
    """The ledgers that were named: `history`, to be asked, and `notes`, what is worth knowing of them."""

    def __init__(self, history: Many, notes: list[str]) -> None:
        self.history = history
        self.notes = notes

    def close(self) -> None:
        """Close what is held open of archives and single segments; the ledgers are not to be asked any more."""
        for part in self.history.given:
            if part.files:
                part.files.release()


def open_sample(progress: Progress | None = None) -> Opened:
    """Return the sample ledger, which comes with the program. Raises StateDirError if it does not."""
    source = Directory(open_state_dir(_SAMPLE, reading=True))
    try:
        last = origin.last_event(source)
        copy = origin.copy_of(source, last) if last else None
    finally:
        source.close()
    return Opened(Many([Part("--sample", History(_SAMPLE, progress), last, copy)]), [])


def open_ledgers(paths: Sequence[str], configured: str, progress: Progress | None = None) -> Opened:
    """Return the ledgers at `paths`; `configured` is the state directory of this host.

    A path that does not exist and has one of `*?[` in it is a pattern; what it matches and is no ledger is passed over
    with a note. Raises StateDirError if there is no ledger at all; of several ledgers, one that cannot be read says so
    when it is asked.
    """
    parts: list[Part] = []
    passed_over: list[str] = []
    for path in paths:
        matches = _matching(path)
        for each in [path] if matches is None else matches:
            try:
                parts += _open(each, configured, progress)
            except (EniLedgerError, OSError) as exc:
                if matches is not None and isinstance(exc, _NoLedger):
                    passed_over.append(each)
                else:
                    parts.append(Part(each, _Unreadable(each, exc)))
    if not parts:
        hint = "quote the pattern, and name state directories, segments or .tar.gz of them"
        raise StateDirError("there is no ledger here", ", ".join(paths), hint)
    if all(isinstance(part.history, _Unreadable) for part in parts):
        parts[0].history.snapshot()
    return Opened(Many(parts), [*_passed_over(passed_over), *_doubts(parts), *_copies(parts)])


class _NoLedger(StateDirError):
    """What is there is no ledger."""


class _Unreadable(History):
    """A ledger that cannot be read: every question raises why."""

    def __init__(self, path: str, why: EniLedgerError | OSError) -> None:
        super().__init__(path)
        self._why = why

    def snapshot(self) -> Snapshot:
        """Raise why it cannot be read."""
        raise self._why

    def live(self) -> list[Association]:
        """Raise why it cannot be read."""
        raise self._why

    def __enter__(self) -> History:
        """Raise why it cannot be read."""
        raise self._why


def _matching(path: str) -> list[str] | None:
    """Return what the pattern `path` matches, None if it is no pattern."""
    if _PATTERN.isdisjoint(path) or os.path.lexists(path):
        return None
    from glob import glob  # rarely needed

    return sorted(glob(path))


def _open(path: str, configured: str, progress: Progress | None) -> list[Part]:
    """Return the ledgers at `path`. Raises StateDirError, LedgerError, OSError."""
    if path == "":
        raise StateDirError("--state-dir is empty")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as exc:
        hint = "name state directories, segments, or a pattern in quotes"
        raise StateDirError("there is no ledger here", f"{path} does not exist", hint) from exc
    kind = os.fstat(fd).st_mode
    if stat.S_ISDIR(kind):
        os.close(fd)
        return [_directory(path, configured, progress)]
    try:
        if not stat.S_ISREG(kind) and not stat.S_ISFIFO(kind):
            raise _NoLedger("this is neither a state directory nor a file", path)
        if stat.S_ISFIFO(kind):
            os.set_blocking(fd, True)
            waiting = select.poll()
            waiting.register(fd, select.POLLIN)
            waiting.poll()  # for a writer: until one has come a read is at the end
        if stat.S_ISREG(kind) and (part := _single(path, fd, progress)):
            return [part]
        found = _streamed(path, Inflated(fd, path, Limits()), progress)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return found


def _directory(path: str, configured: str, progress: Progress | None) -> Part:
    history = History(os.path.abspath(path), progress)
    if not history.is_there():
        raise _NoLedger("there is no ledger here", f"{path} has no ledger.jsonl")
    source = Directory(open_state_dir(path, reading=True))
    try:
        last = origin.last_event(source)
    finally:
        source.close()
    return Part(path, history, last, origin.copied(path, configured))


def _single(path: str, fd: int, progress: Progress | None) -> Part | None:
    """Return the segment that is open at `fd`, as a ledger of its own; None if it is not a segment."""
    start, name = os.pread(fd, _LOOK, 0), os.path.basename(path)
    if start.startswith(gzip_members.MAGIC):
        if not segment.sealed_range(name) or not name.endswith(segment.PACKED):
            name = _name_of_packed(fd)
    elif start.startswith(b'{"ts":"'):
        if not segment.sealed_range(name) or name.endswith(segment.PACKED):
            name = segment.ACTIVE
    else:
        return None
    return held(
        path, os.path.abspath(os.path.dirname(path)), HeldFiles({name: fd}, path=os.path.abspath(path)), progress
    )


def _streamed(path: str, stream: Inflated, progress: Progress | None) -> list[Part]:
    """Return the ledgers in a tar archive, or the segment in a gzip file. Raises ArchiveError, StateDirError."""
    start = stream.peek(BLOCK)
    place = os.path.abspath(path)
    if is_tar(start):
        found = read_tar(stream, Limits())
        if not found:
            raise _NoLedger("there is no ledger in this archive", path, "tar -C STATE-DIRECTORY -czf FILE.tar.gz .")
        several = len(found) > 1
        return [
            held(f"{path}/{directory}" if several else path, f"{place}/{directory}".rstrip("/"), files, progress)
            for directory, files in found
        ]
    if start.startswith(b'{"ts":"'):
        files = HeldFiles({segment.ACTIVE: hold_rest(stream)}, path=place)
        return [held(path, os.path.dirname(place), files, progress)]
    hint = "name a state directory, a tar or .tar.gz of one, or one of its files ledger*"
    raise _NoLedger("this is no ledger, and no archive of one", path, hint)


def held(path: str, state_dir: str, files: HeldFiles, progress: Progress | None) -> Part:
    """Return the ledger of `files` as a part called `path`. It is never this host's own: nothing is added to it."""
    last = origin.last_event(files)
    part = Part(path, History(state_dir, progress, files), last, origin.copy_of(files, last) if last else None)
    part.files = files
    return part


def _name_of_packed(fd: int) -> str:
    """Return the name of a packed segment whose file is called something else."""
    seqs = [event["seq"] for _, _, event, _ in segment.walk(fd, segment.PACKED, 0, damage=[])]
    return segment.sealed_name(seqs[0], seqs[-1]) + segment.PACKED if seqs else segment.sealed_name(1, 1)


def _doubts(parts: Sequence[Part]) -> Iterator[str]:
    """Yield a note for each ledger that others than root and this user can have changed."""
    for part in parts:
        try:
            fd = os.open(part.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            why = unsafe_because(fd)
        finally:
            os.close(fd)
        if why:
            yield f"{part.name}: {why}"


def _copies(parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        if part.newer:
            newest = part.newer[0].name
            yield f"{part.name} is a copy of the same ledger as {newest}, which is newer and counts where both have it"


def _passed_over(paths: Sequence[str]) -> Iterator[str]:
    if paths:
        more = f" and {len(paths) - _MOST_NOTES} more" if len(paths) > _MOST_NOTES else ""
        yield f"no ledger, passed over: {', '.join(paths[:_MOST_NOTES])}{more}"
