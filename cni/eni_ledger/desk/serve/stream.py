"""Events as they are recorded, as server-sent events (HTML Standard, "Server-sent events")."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import BoundedSemaphore, Event

from eni_ledger.base.errors import EniLedgerError
from eni_ledger.desk.serve.refused import NotServed
from eni_ledger.desk.serve.view import View
from eni_ledger.desk.serve.watch import Mark
from eni_ledger.ledger.read.filters import Filters
from eni_ledger.render.screen import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

MOST_STREAMS = 8
CONTENT_TYPE = "text/event-stream"
_PAUSE, _SIGN_OF_LIFE = 0.5, 15.0  # seconds
_AT_ONCE = 500


class Streams:
    """The clients that are told of events; each takes a thread of the server. `stop` ends them."""

    def __init__(self) -> None:
        self._free = BoundedSemaphore(MOST_STREAMS)
        self._stopping = Event()

    def stop(self) -> None:
        """End all of them, within a second."""
        self._stopping.set()

    def open(self, view: View, mark: Mark, filters: Filters, is_gone: Callable[[], bool]) -> Iterator[bytes]:
        """Return what a client is sent: the events behind `mark`, then each new one, until `is_gone`.

        Raises NotServed (503) when there are MOST_STREAMS clients.
        """
        if not self._free.acquire(blocking=False):
            raise NotServed(503, f"{MOST_STREAMS} clients are told of events already", Retry_After="10")
        return self._run(view, mark, filters, is_gone)

    def _run(self, view: View, mark: Mark, filters: Filters, is_gone: Callable[[], bool]) -> Iterator[bytes]:
        try:
            yield b"retry: 3000\n\n"
            yield from self._events(view, mark, filters, is_gone)
        finally:
            self._free.release()

    def _events(self, view: View, mark: Mark, filters: Filters, is_gone: Callable[[], bool]) -> Iterator[bytes]:
        stamp, said, more = None, time.monotonic(), True
        while not self._stopping.is_set() and not is_gone():
            now = view.stamp()
            if more or now != stamp:
                stamp = now
                try:
                    found = view.events(mark, None, filters, _AT_ONCE)
                except (EniLedgerError, OSError) as exc:
                    yield _error(exc)
                    return
                mark, more = found.mark, found.more
                if found.events:
                    said = time.monotonic()
                    yield b"".join(_told(where, event) for where, event in found.events)
                if found.damage:
                    yield _error(found.damage)
                    return
                continue
            if time.monotonic() - said > _SIGN_OF_LIFE:
                said = time.monotonic()
                yield b": nothing new\n\n"
            self._stopping.wait(_PAUSE)


def _told(mark: str, event: Fields) -> bytes:
    return f"id: {mark}\ndata: {one_line(event)}\n\n".encode()


def _error(exc: Exception) -> bytes:
    return f"event: error\ndata: {one_line({'error': {'message': str(exc)}})}\n\n".encode()
