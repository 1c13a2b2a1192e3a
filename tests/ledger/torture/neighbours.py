"""Neighbours: a lock holder that is stopped, a directory that is removed, another version that writes."""

from __future__ import annotations

from ledger.torture import moved, stuck, versions
from ledger.torture.faults import server
from ledger.torture.trial import Run, Trial


def neighbours(run: Run) -> None:
    """Each round is all of it; another older version each time, where there is a history to take it from."""
    with server(run.source, dry=True) as writers:
        for number, chance, directory in run.each():
            directory.mkdir()
            stuck.held(run, directory)
            stuck.stopped(run, writers, directory, chance)
            stuck.stale(run, writers, directory)
            moved.everything(run, writers, directory, chance)
            versions.everything(run, directory, number)


TRIAL = Trial(
    "neighbours",
    "the lock's holder is stopped, the state directory is deleted or replaced, two versions write at once",
    neighbours,
    10,
    1,
)
