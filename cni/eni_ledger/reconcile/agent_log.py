"""Read the log of `vpc-branch-eni` and `vpc-eni`: the history before eni-ledger was installed.

Source: amazon-vpc-cni-plugins, `logger/logger.go` (format and rolling), `cni/plugin.go`, `plugins/vpc-branch-eni` and
`plugins/vpc-eni` (`plugin/commands.go` and `config/netconfig.go`), from 2018 to 2023; and lines that the real plugins
wrote. The agent sends the logs of all its VPC plugins into one file, `/log/vpc-branch-eni.log` in its container.

* A line is `2026-11-23T13:59:51Z [INFO] message`: UTC, whole seconds, no process ID. Several plugins run at once, so
  lines of different calls alternate and times may step back by a second or two.
* seelog rolls by the hour and never writes to the plain name: the files are `vpc-branch-eni.log.2026-11-23-13` and so
  on (hours in the agent's local time), 24 of them at most, not compressed. When two processes start a new file at
  the same moment one may overwrite what the other wrote; such lines cannot be read.
* `Executing ADD with netconfig: &{...}.` is the configuration as Go's `%+v` prints it. For `vpc-branch-eni` there is no
  container ID in it; namespace and interface name stand in later lines of the same call, together with the MAC:
  `Moving branch link {...} to netns ...`, `Renaming branch link {...} to eth0.` `Writing CNI result to stdout: ...`
  says that an ADD succeeded; every one that succeeds writes it. `CNI command failed: ...` names no call: it
  belongs to the ADD that ran alone, else to one that never wrote a result. DEL logs no end; that of `vpc-branch-eni`
  cannot fail once it has logged its configuration.
* An agent that logs at `warn` or above passes that level to its plugins: then the log has nothing to import.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from eni_ledger.base.addresses import mac_text
from eni_ledger.reconcile.agent_log_netconf import declared, place, printable

#: Numbers of unread lines that a report keeps, per file; beyond that they are only counted.
NUMBERS_MAX = 100
LINE_MAX = 1 << 20
#: The agent gives all plugins of a task one minute to set it up; an ADD logs nothing after that.
ADD_SECONDS_MAX = 120
_WAITING_MAX = 10_000
# A DEL does not say when it is over; it takes milliseconds. After this it is.
_NEAR_SECONDS = 5

_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z \[([A-Z]+)\] (.*)", re.DOTALL)
_TWO_LINES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \[[A-Z]+\] ")
_CALL = re.compile(r"Executing (ADD|DEL) with netconfig: ")
_OURS = re.compile(r" Type:vpc-(?:branch-)?eni ")
_MOVING = re.compile(r"Moving (?:branch|ENI) link \{linkName:(\S+) macAddress:(\S+)\} to netns (\S+)\.")
_RENAMING = re.compile(r"Renaming (?:branch|ENI) link \{linkName:\S+ macAddress:(\S+)\} to (\S+)\.")
_RESULT = re.compile(r"Writing CNI result to stdout: .*?Interfaces:\[\{Name:(\S*) Mac:(\S*) Sandbox:(\S*)\}")
_SEARCHING = re.compile(r"Searching for netns (\S+)\.")
_LINK = re.compile(
    r"Failed to (?:create|attach|add) (?:branch interface|(?:VLAN|vlan) link for branch) \[?\S+?\.(\d+)\]?: "
)
_ROLLED = re.compile(r"\.\d{4}-\d\d-\d\d-\d\d(?:\.gz)?")
_FAILED = "CNI command failed: "


@dataclass(slots=True)
class LogEvent:
    """One ADD or DEL.

    `fields` are an `import` event's, in the ledger's keys: `event` is `add`, `add_failed` or `del`,
    `ts` when the call began (whole seconds). `import_id` comes from the text of the line alone, so the same
    line in a copy or in a second import has the same (and two calls with the same configuration in the same second are
    one). `unconfirmed` marks an ADD without a result in the log and without an error that is certainly its own: as
    `add_failed` when an error may be its own, else as `add`. `settled` is False when the log ends so soon after an ADD
    without a result that more may follow: import it later.
    """

    source: str
    line: int
    import_id: str
    fields: dict[str, Any]
    settled: bool = True


@dataclass(slots=True)
class ParseReport:
    """Counts of a log: lines, events, and lines that could not be read, the first of these by number.

    `logs` are the files that have at least one line as the plugins write them; `newest` is the time of the newest
    line, seconds since 1970.
    """

    lines: int = 0
    events: int = 0
    unread: int = 0
    unread_lines: dict[str, list[int]] = field(default_factory=dict)
    logs: set[str] = field(default_factory=set, compare=False)
    newest: float = field(default=0.0, compare=False)

    def add_unread(self, source: str, line: int) -> None:
        """Count a line that could not be read."""
        self.unread += 1
        numbers = self.unread_lines.setdefault(source, [])
        if len(numbers) < NUMBERS_MAX:
            numbers.append(line)


@dataclass(slots=True)
class _Failure:
    """A failed command that names no call, and the ADDs that had not ended then: it may be one of them."""

    text: str
    calls: list[_Call]


@dataclass(slots=True)
class _Call:
    event: LogEvent
    began: float
    key: str
    alone: bool = False  # nothing else ran: lines without a MAC are its own
    confirmed: bool = False
    done: bool = False
    failures: list[_Failure] = field(default_factory=list)

    @property
    def outcome_known(self) -> bool:
        return self.confirmed or "error_msg" in self.event.fields


def parse(lines: Iterable[bytes], report: ParseReport | None = None, source: str = "") -> Iterator[LogEvent]:
    """Yield the events of one log in the order in which the calls began. No content of a line raises."""
    parser = _Parser(report or ParseReport())
    for number, line in enumerate(lines, 1):
        yield from parser.feed(line, source, number)
    yield from parser.finish()


def read(
    paths: Iterable[Path], report: ParseReport | None = None, progress: Callable[[int], object] | None = None
) -> Iterator[LogEvent]:
    """Yield the events of several files, oldest first, as one log: a call may begin in one and end in the next.

    A file may be compressed with gzip, which administrators do and the plugins do not. `progress` is called with the
    length of each line in bytes, unpacked. Raises OSError when a file cannot be read. The missing end of a truncated
    gzip file counts as one unread line.
    """
    report = report or ParseReport()
    parser = _Parser(report)
    for path in paths:
        number = 0
        with _open(path) as file:
            try:
                for number, line in enumerate(_lines(file), 1):
                    if progress:
                        progress(len(line))
                    yield from parser.feed(line, str(path), number)
            except (EOFError, zlib.error, gzip.BadGzipFile):
                report.add_unread(str(path), number + 1)
    yield from parser.finish()


def rolled(path: Path) -> list[Path]:
    """Return the files of the log with this name, oldest first: the plain one if there is one, then the hours.

    Raises PermissionError for a directory that may not be read: its files are not known.
    """
    try:
        names = sorted(os.listdir(path.parent))
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [path.parent / name for name in names if name.startswith(path.name)]
    return [
        *([path] if path.is_file() else []),
        *(other for other in found if _ROLLED.fullmatch(other.name[len(path.name) :])),
    ]


def _open(path: Path) -> IO[bytes]:
    file = path.open("rb")
    packed = file.read(2) == b"\x1f\x8b"
    if packed:
        file.close()
        return gzip.open(path)  # type: ignore[return-value]
    file.seek(0)
    return file


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; of one that is too long for any plugin, only the beginning."""
    while line := file.readline(LINE_MAX):
        rest = line
        while len(rest) == LINE_MAX and not rest.endswith(b"\n"):
            rest = file.readline(LINE_MAX)
        yield line


class _Parser:
    """Collects the lines of each call, as far as they name it."""

    def __init__(self, report: ParseReport) -> None:
        self.report = report
        self.waiting: deque[_Call] = deque()  # in the order in which they began
        self.open: dict[str, _Call] = {}  # ADDs that are not over, by MAC
        self.running: list[float] = []  # when plugins started that may be running still
        self.newest = 0.0
        self.in_panic = False

    def feed(self, line: bytes, source: str, number: int) -> Iterator[LogEvent]:
        """Take one line; yield the events that it completes."""
        self.report.lines += 1
        line = line.rstrip(b"\r\n")
        if not line:
            return
        text = line.decode("utf-8", "replace")
        match = _LINE.fullmatch(text)
        began = _seconds(match[1]) if match else None
        if match is None or began is None or "\0" in text or _TWO_LINES.search(match[3]):
            if not (self.in_panic and match is None):
                self.report.add_unread(source, number)
            return
        self.report.logs.add(source)
        message = match[3]
        self.in_panic = message.startswith("Recovered panic")
        self.newest = max(self.newest, began)
        self.report.newest = max(self.report.newest, began)
        if call := _CALL.match(message):
            fields = declared(message)
            if fields is not None:
                said = {"event": call[1].lower(), "ts": f"{match[1]}.000000Z"}
                event = LogEvent(source, number, hashlib.sha256(line).hexdigest()[:32], said)
                event.fields |= {**fields, "via": "import", "import_id": event.import_id}
                self._call(event, began)
            elif _OURS.search(message) or not message.endswith("."):
                self.report.add_unread(source, number)  # others, as aws-appmesh, use the same words in the same file
        else:
            self._more(match[2], message, began)
        yield from self._ready()

    def finish(self) -> Iterator[LogEvent]:
        """Yield the events that are incomplete at the end of the log."""
        while self.waiting:
            yield self._settle(self.waiting.popleft())

    def _call(self, event: LogEvent, began: float) -> None:
        call = _Call(event, began, event.fields.get("branch_mac", ""))
        self.waiting.append(call)
        if event.fields["event"] == "del" or not call.key:
            call.done = True
            if event.fields["plugin"] == "vpc-branch-eni" and self.running:
                self.running.pop()  # an error that follows is another's
            return
        if call.key in self.open:
            self._over(call.key)  # the agent tries again only after the first one is over
        self.running = [start for start in self.running if abs(began - start) <= _NEAR_SECONDS]
        call.alone = len(self.running) == 1  # that is the first line of this very call
        self.open[call.key] = call

    def _over(self, key: str) -> None:
        call = self.open.pop(key)
        call.done = True
        # Any of the running calls will do: only their number counts.
        if self.running:
            self.running.pop(0)

    def _more(self, level: str, message: str, began: float) -> None:
        """Add a later line to the call that it belongs to."""
        if message.startswith("Plugin "):
            self.running.append(began)
            for call in self.open.values():
                call.alone = False
        elif level == "ERROR":
            self._error(message)
        elif (match := _RESULT.match(message)) and (whose := self._whose(match[2])):
            whose.event.fields |= {"event": "add", **place(match[3], match[1])}
            whose.event.fields.pop("error_msg", None)
            whose.confirmed = True
            self._over(whose.key)
        elif (match := _MOVING.match(message)) and (whose := self._whose(match[2])):
            whose.event.fields |= place(match[3])
            trunk, dot, vlan = match[1].rpartition(".")
            if dot and vlan == str(whose.event.fields.get("vlan_id")):
                whose.event.fields["trunk_ifname"] = printable(trunk)
        elif (match := _RENAMING.match(message)) and (whose := self._whose(match[1])):
            whose.event.fields |= place("", match[2])
        elif match := _SEARCHING.match(message):
            for call in self.open.values():
                if call.alone:
                    call.event.fields |= place(match[1])

    def _error(self, message: str) -> None:
        """Take an error that names the MAC or the link of an ADD, or the last line of a plugin."""
        if not message.startswith(_FAILED):
            link = _LINK.search(message)
            for call in self.open.values():
                if f"macAddress:{call.key}}}" in message or (link and link[1] == str(call.event.fields.get("vlan_id"))):
                    call.event.fields |= {"event": "add_failed", "error_msg": printable(message)}
            return
        text = printable(message.removeprefix(_FAILED))
        for call in list(self.open.values()):
            named = text in call.event.fields.get("error_msg", "")
            if call.alone or named:
                said = call.event.fields["error_msg"] if named else text
                call.event.fields |= {"event": "add_failed", "error_msg": said}
                self._over(call.key)
                return
        failure = _Failure(text, list(self.open.values()))
        for call in failure.calls:
            call.failures.append(failure)
        if len(self.running) == 1:
            self.running.clear()

    def _whose(self, mac: str) -> _Call | None:
        return self.open.get(mac_text(mac) or "")

    def _ready(self) -> Iterator[LogEvent]:
        while self.waiting:
            first = self.waiting[0]
            late = self.newest - first.began > ADD_SECONDS_MAX or len(self.waiting) > _WAITING_MAX
            if not (first.done or late):
                return
            yield self._settle(self.waiting.popleft())

    def _settle(self, call: _Call) -> LogEvent:
        event = call.event
        if self.open.get(call.key) is call:
            del self.open[call.key]
        if event.fields["event"] == "add" and not call.confirmed:
            self._judge(call)
        event.settled = call.done or self.newest - call.began > ADD_SECONDS_MAX
        self.report.events += 1
        return event

    @staticmethod
    def _judge(call: _Call) -> None:
        """Settle an ADD that wrote no result and no error that is certainly its own."""
        fields = call.event.fields
        for failure in reversed(call.failures):
            others = [one for one in failure.calls if one is not call and not one.outcome_known]
            fields |= {"event": "add_failed"}
            if not others:
                fields["error_msg"] = failure.text
                return
        fields["unconfirmed"] = True


def _seconds(text: str) -> float | None:
    try:
        return datetime.fromisoformat(f"{text}+00:00").timestamp()
    except ValueError:
        return None
