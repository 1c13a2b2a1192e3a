"""One procedure, many ways to damage a ledger: each answer is then true or an error of eni-ledger.

A small ledger of three segments is handed to each corrupting function in turn, every byte of it at a time.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.base.errors import EniLedgerError, LedgerDamaged
from eni_ledger.ledger.check.fsck import FsckReport, fsck
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.write import writer
from helpers.ledgers import ACTIVE, TRUNK, add_event, contents, copy, segments, settings, three_segments, with_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from eni_ledger.base.events import Event

Answer = Any


class Truth:
    """A sound ledger, and what it answers to every question."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.events = three_segments(where)
        self.ids = [event["association_id"] for event in self.events if event["event"] == "add"]
        self.moments = [self.events[n]["ts"] for n in (1, 4, 6, 9)]
        self.answers = {name: call() for name, call in self.questions(where).items()}

    def questions(self, where: Path) -> dict[str, Callable[[], Answer]]:
        history = History(str(where))
        calls: dict[str, Callable[[], Answer]] = {
            "live": history.live,
            "events": lambda: list(history.events()),
            "some events": lambda: list(history.events(self.moments[1], self.moments[2])),
            "who": lambda: history.who(TRUNK),
            "who at": lambda: history.who("4", self.moments[2]),
            "show": lambda: with_events(history, self.ids[2]),
        }
        for number, moment in enumerate(self.moments):
            calls[f"at {number}"] = partial(history.at, moment)
        return calls

    def check_given(self, where: Path) -> None:
        """What `events` gives before it fails is true, and in order."""
        got: list[Event] = []
        try:
            for event in History(str(where)).events():
                got.append(event)
        except EniLedgerError:
            pass
        assert got == [event for event in self.events if event in got]

    def ask(self, where: Path, at: int | None = None) -> set[str]:
        """Ask everything and return the questions that raised an error of eni-ledger.

        A false answer, or another error, fails. With `at`, one byte of very many, a quarter of the questions is asked,
        another one at the next byte; `events` and `who` always.
        """
        erred = set()
        for number, (name, call) in enumerate(self.questions(where).items()):
            if at is not None and name not in ("events", "who") and number % 4 != at % 4:
                continue
            try:
                answer = call()
            except EniLedgerError:
                erred.add(name)
            else:
                assert answer == self.answers[name], name
        self.check_given(where)
        return erred


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return Truth(tmp_path_factory.mktemp("truth") / "state")


def place(data: bytes, at: int) -> tuple[int, int]:
    """Return line and offset of the line in which byte `at` is."""
    start = data.rfind(b"\n", 0, at) + 1
    return data.count(b"\n", 0, at) + 1, start


def flip(data: bytes, at: int) -> bytes:
    """Flip one bit, another one at each place."""
    broken = bytearray(data)
    broken[at] ^= 1 << (at * 5 % 8)
    return bytes(broken)


def case(data: bytes, at: int) -> bytes:
    """Flip the bit that tells upper from lower case, and a digit from a control character."""
    broken = bytearray(data)
    broken[at] ^= 0x20
    return bytes(broken)


def cut(data: bytes, at: int) -> bytes:
    """Cut the file off."""
    return data[:at]


def leave_out(data: bytes, at: int) -> bytes:
    """Leave a byte out."""
    return data[:at] + data[at + 1 :]


def zeros(data: bytes, at: int) -> bytes:
    """Make the rest zeros, as some file systems do after a power cut."""
    return data[:at] + bytes(len(data) - at)


def newline(data: bytes, at: int) -> bytes:
    """Put a newline in place of a byte."""
    return data[:at] + b"\n" + data[at + 1 :]


def check_fsck(report: FsckReport, path: Path, data: bytes, at: int) -> None:
    """fsck names the file and, unless the line before hides it, the line in which the damage is."""
    assert not report.sound
    first = report.damage[0]
    assert (first.path, (first.line, first.offset)) == (str(path), place(data, at)), (at, str(first))


def run(truth: Truth, tmp_path: Path, which: int, corrupt: Callable[[bytes, int], bytes], step: int) -> int:
    """Damage one segment at every `step`-th byte, ask each time; return how often."""
    where = copy(truth.where, tmp_path / "state")
    path = segments(where)[which]
    data = path.read_bytes()
    tried = 0
    for at in range(which, len(data), step):
        broken = corrupt(data, at)
        if broken == data:
            continue
        path.write_bytes(broken)
        erred = truth.ask(where, at)
        check_fsck(fsck(str(where)), path, data, at)
        assert "events" in erred, at
        assert "who" in erred, at
        tried += 1
    return tried


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize(
    ("corrupt", "step"),
    [(flip, 1), (cut, 3), (case, 5), (leave_out, 5), (zeros, 7), (newline, 7)],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_every_byte(
    truth: Truth, tmp_path: Path, which: int, corrupt: Callable[[bytes, int], bytes], step: int
) -> None:
    assert run(truth, tmp_path, which, corrupt, step) > 100


@pytest.mark.parametrize("corrupt", [flip, cut, zeros])
def test_every_byte_of_state_json(truth: Truth, tmp_path: Path, corrupt: Callable[[bytes, int], bytes]) -> None:
    """It is derived: whatever happens to it, every answer is the true one."""
    where = copy(truth.where, tmp_path / "state")
    path = where / "state.json"
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(corrupt(data, at))
        if at % 16 == 0:  # without it, live waits for the writer that might be replacing it
            assert truth.ask(where) == set()
        report = fsck(str(where))
        assert report.sound
        assert any("state.json" in note for note in report.notes)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_segment_gone_empty_or_binary(truth: Truth, tmp_path: Path, which: int) -> None:
    where = copy(truth.where, tmp_path / "state")
    path = segments(where)[which]
    for data in (b"", b"\n", b"\0" * 5000, bytes(range(256)) * 20, b"{}\n" * 50, b"[" * 9000 + b"\n", b"\xff\n" * 99):
        path.write_bytes(data)
        erred = truth.ask(where)
        assert {"events", "who"} <= erred
        assert not fsck(str(where)).sound
    path.unlink()
    if which == 0:  # as retention would have left it: what is not there any more is not known
        assert fsck(str(where)).sound
        assert list(History(str(where)).events()) == truth.events[4:]
    else:
        assert {"events", "who"} <= truth.ask(where)
        assert not fsck(str(where)).sound


@pytest.mark.parametrize("corrupt", [flip, cut, zeros, leave_out])
def test_a_writer_after_any_damage_to_the_active_segment(
    truth: Truth, tmp_path: Path, corrupt: Callable[[bytes, int], bytes]
) -> None:
    """It goes on, keeps every byte that it found, knows what is live, and fsck goes on telling of the damage."""
    data = (truth.where / ACTIVE).read_bytes()
    live = {association["association_id"] for association in truth.answers["live"]}
    for at in range(0, len(data), 13):
        where = copy(truth.where, tmp_path / "state")
        broken = corrupt(data, at)
        (where / ACTIVE).write_bytes(broken)
        before = contents(where)
        added = writer.record(settings(where), add_event(50))
        assert added is not None
        after = contents(where)
        found = [after[name] for name in after if name.startswith(("ledger", "quarantine"))]
        # All of it in one piece, appended to or not, or cut in two: what is sound, and in quarantine what was torn.
        whole = any(piece.startswith(broken) for piece in found)
        assert whole or any(head + torn == broken for head in found for torn in found)
        for name, old in before.items():
            if name.startswith("ledger-"):
                assert after[name] == old
        assert {each["association_id"] for each in History(str(where)).live()} == live | {added["association_id"]}
        seqs = [event["seq"] for event in truth.events]
        assert added["seq"] > max(seqs)
        assert not fsck(str(where)).sound
        shutil.rmtree(where)


def test_the_error_carries_what_could_be_answered(truth: Truth, tmp_path: Path) -> None:
    where = copy(truth.where, tmp_path / "state")
    path = segments(where)[2]
    data = path.read_bytes()
    path.write_bytes(flip(data, len(data) - 30))
    with pytest.raises(LedgerDamaged) as caught:
        History(str(where)).who(TRUNK)
    assert len(caught.value.associations) == len(truth.ids)
