"""Warms code and page cache for `writer.record` while the delegate runs. Takes no lock and writes nothing.

After that, recording takes half the time. Standard library only: loaded while a delegate works.
"""

from __future__ import annotations

import os

from eni_ledger.base.errors import LedgerError
from eni_ledger.ledger.format import live, segment, state_file, supersede
from eni_ledger.ledger.format.directory import in_place, open_file, open_state_dir
from eni_ledger.ledger.format.line import VERSION, encode, format_ts, now_us
from eni_ledger.ledger.write import spool, writer  # noqa: F401 - loads the writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.config import Settings
    from eni_ledger.base.events import Fields


def warm_up(settings: Settings, event: Fields) -> None:
    """Run the reading half of `record` for `event`. Never raises."""
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
            state = state_file.read(dir_fd)
            written = {**event, "association_id": "", "ts": format_ts(now_us()), "seq": 0, "v": VERSION}
            encode(written, 0)
            if state is not None:
                supersede.ended_by(state.lines, written)
                state_file.StateFile(
                    state.head, live.apply_to_lines(state.lines, written, event.get("boot_id"))
                ).encode()
        finally:
            os.close(dir_fd)
    except (LedgerError, OSError, ValueError, KeyError, TypeError):
        pass  # `record` will report it
