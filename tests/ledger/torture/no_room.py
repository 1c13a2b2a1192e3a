"""No room and no luck: the disk is full, the disk fails, no descriptor is left, the file system is read-only."""

from __future__ import annotations

import os
import shutil

from ledger.torture import full, injected, traced
from ledger.torture.faults import server
from ledger.torture.trial import Run, Trial


def no_room(run: Run) -> None:
    """Each round is every call of every scenario, failing in one way; and every scenario with little room."""
    with server(run.source, dry=True) as writers:
        for _, chance, directory in run.each():
            directory.mkdir()
            injected.everything(run, writers, directory, chance)
            full.everything(run, directory, chance, share=4)
            traced.everything(run, directory, chance, share=1)


def needs() -> str:
    """Return what is missing here."""
    if os.geteuid() != 0:
        return "root, for a small file system of its own"
    missing = [name for name in ("strace", "unshare", "nsenter", "mount") if not shutil.which(name)]
    return f"{', '.join(missing)}; build/setup installs them" if missing else ""


TRIAL = Trial(
    "no-room",
    "each call of a writer and of the chained plugin fails: full, EIO, EDQUOT, read-only, no descriptors",
    no_room,
    20,
    1,
    needs,
)
