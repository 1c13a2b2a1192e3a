"""Runs `annotate`: what comes in, what goes out, and what is said beside it."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, timedelta, tzinfo
from typing import NamedTuple

from eni_ledger import timespec, zones
from eni_ledger.base.errors import LedgerDamaged, UsageError
from eni_ledger.cli.session import PROGRAM, Session, full_path
from eni_ledger.desk.capture import captures, frames
from eni_ledger.desk.capture.captures import Annotated, Counts
from eni_ledger.desk.capture.ledger_source import LedgerSource
from eni_ledger.desk.capture.pipes import Input, Output
from eni_ledger.desk.capture.stamps import Stamps, ledger_time, micros
from eni_ledger.desk.capture.text_objects import TextObjects
from eni_ledger.desk.capture.text_stream import TextStream
from eni_ledger.desk.capture.timeline import Timeline
from eni_ledger.desk.capture.words import as_json, words
from eni_ledger.render.text import age, counted, moment, safe

_QUIET_S = 0.1  # a packet whose next line has not come by now has no further one


class Wish(NamedTuple):
    """The options of `annotate`, not yet parsed."""

    read_from: str | None
    write_to: str | None
    day: str | None
    at: str | None
    as_json: bool


def annotate(session: Session, wish: Wish) -> None:
    """Annotate what comes in. Raises UsageError, CaptureError, LedgerDamaged when all has been printed, OSError."""
    zone = session.zone if session.chose_zone else _zone_of_tcpdump(session)
    stamps = Stamps(zone, _day(session, wish.day, zone), _moment(session, wish.at, zone))
    if wish.write_to and wish.as_json:
        raise UsageError("--write and JSON exclude each other", hint=f"{PROGRAM} annotate --read FILE --json")
    if wish.read_from is None and sys.stdin.isatty():
        raise UsageError(
            "there is nothing to annotate",
            "standard input is a terminal",
            "tcpdump -ven -i IFACE | eni-ledger annotate",
        )
    history = session.history()
    session.introduce(as_json=True)
    source = LedgerSource(history, _complete(session))
    timeline = Timeline(source, zone)
    _end_with_the_input()
    try:
        with ExitStack() as open_files:
            reader = open_files.enter_context(Input(_open_input(wish.read_from)))
            begin = _begin(reader, captured=wish.read_from is not None)
            if wish.read_from is not None or captures.is_capture(begin):
                _capture(session, wish, timeline, begin, reader, open_files)
            elif wish.write_to:
                raise UsageError("--write needs a capture", "standard input is text", "read what tcpdump -w wrote")
            elif wish.as_json:
                _objects(session, TextObjects(timeline, stamps), begin, reader)
            else:
                _lines(
                    session,
                    TextStream(timeline, stamps, lambda text: session.screen.paint(text, "cyan")),
                    begin,
                    reader,
                )
    finally:
        _notes(session, source, stamps)
    if source.damage:
        raise _located(source.damage, history.state_dir)


def _complete(session: Session) -> int | None:
    """Return up to when copies tell what happened, the first to end; None where the host's own ledger is among them."""
    if session.copy() is None:
        return None
    ends = [session.as_of()]
    if opened := session.opened():
        parts = (part for part in opened.history.parts if not part.newer)
        ends = [end for part in parts if part.copy and (end := moment(part.copy.ts))] or ends
    return micros(min(ends))


def _zone_of_tcpdump(session: Session) -> tzinfo:
    """Return the zone in which tcpdump prints times beside this process, that of the host."""
    zone = zones.zone(zones.LOCAL)
    halves = (session.now, session.now + timedelta(days=182))
    return zone if any(each.astimezone(zone).utcoffset() for each in halves) else UTC


def _day(session: Session, text: str | None, zone: tzinfo) -> date | None:
    if text is None:
        return None
    return timespec.parse(text, argument="--date", now=session.now, zone=zone).astimezone(zone).date()


def _moment(session: Session, text: str | None, zone: tzinfo) -> int | None:
    return None if text is None else micros(timespec.parse(text, argument="--at", now=session.now, zone=zone))


def _end_with_the_input() -> None:
    """Let the first interrupt end tcpdump alone, so that its last lines are read; the second one ends this program."""

    def first(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, first)


def _open_input(path: str | None) -> int:
    """Return a descriptor of what is read. Raises OSError."""
    return os.dup(0) if path in (None, "-") else os.open(str(path), os.O_RDONLY | os.O_CLOEXEC)


def _open_output(path: str, reader: Input) -> int:
    """Return a descriptor of what is written. Raises UsageError when it is what is read, OSError."""
    if path == "-":
        return os.dup(1)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    there, here = os.fstat(fd), os.fstat(reader.fd)
    if stat.S_ISREG(there.st_mode):
        if os.path.samestat(there, here):
            os.close(fd)
            raise UsageError("--write is the file that is read", path, "name another one")
        os.ftruncate(fd, 0)
    return fd


def _begin(reader: Input, *, captured: bool) -> bytes:
    """Return the first bytes: four at least, or all there are; of text whatever comes first."""
    begin = reader.read()
    while 0 < len(begin) < 4 and (captured or not begin.endswith(b"\n")):
        more = reader.read()
        if not more:
            break
        begin += more
    return begin


def _lines(session: Session, stream: TextStream, block: bytes, reader: Input) -> None:
    """Annotate lines."""
    session.screen.flush()
    with Output(os.dup(1)) as output:
        while block and not stream.error:
            output.write(stream.feed(block))
            block = b"" if stream.error else reader.read()
        if not stream.error:
            output.write(stream.finish())
    _flow_notes(session, stream.flows.early, stream.flows.untimed)
    if stream.error:
        raise stream.error


def _objects(session: Session, stream: TextObjects, block: bytes, reader: Input) -> None:
    """Print an object for each packet and record of lines."""
    while block and not stream.error:
        found = stream.feed(block)
        if not stream.error and reader.waits(_QUIET_S):
            found += stream.finish()
        _print_objects(session, found)
        block = b"" if stream.error else reader.read()
    if not stream.error:
        _print_objects(session, stream.finish())
    _flow_notes(session, stream.flows.early, stream.flows.untimed)
    if stream.error:
        raise stream.error


def _print_objects(session: Session, objects: list[dict[str, object]]) -> None:
    for _ in session.screen.json_lines(objects):
        pass
    session.screen.flush()


def _capture(
    session: Session, wish: Wish, timeline: Timeline, begin: bytes, reader: Input, open_files: ExitStack
) -> None:
    """Annotate a capture."""
    if not captures.is_capture(begin):
        raise captures.not_a_capture(begin)
    if wish.write_to:
        output = open_files.enter_context(Output(_open_output(wish.write_to, reader)))
        annotated = Annotated(timeline, output.write)
        try:
            annotated.run(begin, reader)
        finally:
            _count_note(session, annotated.counts)
        return
    counts = Counts()
    try:
        for _ in _printed(session, wish, timeline, captures.read(timeline, begin, reader, counts)):
            pass
    finally:
        session.screen.flush()
        _count_note(session, counts)


def _printed(session: Session, wish: Wish, timeline: Timeline, found: Iterator[captures.Found]) -> Iterator[None]:
    """Print packets of a capture, as lines or as objects; yield after each."""
    screen = session.screen
    if wish.as_json:
        yield from screen.json_lines(
            {**as_json(one.packet, one.attribution, timeline, one.at), "length": one.length} for one in found
        )
        return
    for one in found:
        text = words(one.attribution, timeline, one.at)
        line = frames.summary(one.link_type, one.frame, one.packet, one.length)
        behind = f"  {screen.paint(f'[{text}]', 'cyan')}" if text else ""
        screen.line(f"{ledger_time(one.at)} {line}{behind}")
        yield


def _count_note(session: Session, counts: Counts) -> None:
    """Say how many packets there were, and what could not be looked up."""
    session.screen.flush()
    session.screen.note(f"{counted(counts.packets, 'packet')}, {counts.named} with a task or container")
    for link_type, number in counts.foreign.items():
        known = ", ".join(frames.LINK_TYPES.values())
        session.screen.note(
            f"note: {counted(number, 'packet')} of link type {link_type}, not looked up; known are {known}"
        )
    if counts.timeless:
        session.screen.note(f"note: {counted(counts.timeless, 'packet')} without a time, not looked up")


def _flow_notes(session: Session, early: int, untimed: int) -> None:
    if early:
        session.screen.note(
            f"note: {counted(early, 'record')} from before the ledger begins, of which nothing is known"
        )
    if untimed:
        session.screen.note(
            f"note: {counted(untimed, 'record')} not looked up: a format with interface-id, start and end is needed"
        )


def _notes(session: Session, source: LedgerSource, stamps: Stamps) -> None:
    """Say what the answers rest on."""
    session.screen.flush()
    if stamps.guessed and stamps.first_day is not None:
        session.screen.note(
            f"note: times without a date: the first is taken as of {stamps.first_day} (--date says another)"
        )
    if stamps.zoned and stamps.zone is not UTC:
        session.screen.note(f"note: times are read in the time zone {stamps.zone} (else: --tz)")
    for ledger, ts, step in source.steps:
        where = f"{safe(ledger)}: " if ledger else ""
        set_back = f"clock set back by {age(step / 1e6)} at {session.clock(ts)}"
        session.screen.note(f"note: {where}{set_back}: it showed the time before that twice")


def _located(damage: LedgerDamaged, state_dir: str) -> LedgerDamaged:
    located = full_path(damage, state_dir)
    located.msg = f"answered as far as proven: {damage.msg}"
    return located
