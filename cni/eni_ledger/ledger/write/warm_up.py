"""What `writer.record` will do, gone through while there is time: nothing is locked, nothing written.

Code that has run and files that have been read once take half the time when it counts. Standard library only: loaded
while a delegate works.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import LedgerError
from eni_ledger.ledger.format import live, segment, state_file, supersede
from eni_ledger.ledger.format.directory import in_place, open_file, open_state_dir
from eni_ledger.ledger.format.line import VERSION, encode, format_ts, now_us
from eni_ledger.ledger.write import spool, writer  # noqa: F401 - the writer, to have it loaded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from eni_ledger.base.config import Settings


def warm_up(settings: Settings, event: dict[str, Any]) -> None:
    """Go through what `record` will do with `event`. Never raises."""
    try:
        dir_fd = open_state_dir(settings.state_dir)
        try:
            fd = open_file(dir_fd, segment.ACTIVE, os.O_RDONLY)
            try:
                segment.read_tail(fd, segment.ACTIVE)
            finally:
                os.close(fd)
            spool.waiting(dir_fd)
            in_place(settings, dir_fd)
            known = state_file.read(dir_fd)
            written = {**event, "association_id": "", "ts": format_ts(now_us()), "seq": 0, "v": VERSION}
            encode(written, 0)
            if known is not None:
                supersede.ended_by(known.lines, written)
                state_file.StateFile(
                    known.head, live.apply_to_lines(known.lines, written, event.get("boot_id"))
                ).encode()
        finally:
            os.close(dir_fd)
    except (LedgerError, OSError, ValueError, KeyError, TypeError):
        pass  # it will be told when it is in earnest
