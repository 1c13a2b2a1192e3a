"""The server: waitress, with bounds on everything that a client can make it hold."""

from __future__ import annotations

import ctypes
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import waitress.server

from eni_ledger.desk.serve.app import LARGEST_BODY
from eni_ledger.desk.serve.stream import MOST_STREAMS, Streams

_THREADS = 8  # beside those of the streams
_CONNECTIONS = 128
_LARGEST_HEADER = 16384
_M_ARENA_MAX = -8  # malloc.h
_SILENT_S = 60  # then a connection without a request ends


def serve(app: Any, sockets: Sequence[socket.socket], streams: Streams, ready: Callable[[], None]) -> None:
    """Answer requests on `sockets` until SIGTERM or SIGINT; `ready` is called once requests are answered."""
    logging.getLogger("waitress").setLevel(logging.ERROR)
    _share_one_arena()

    def end(_: int, __: FrameType | None) -> NoReturn:
        streams.stop()  # the server waits for its threads, and they for the streams
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    server = waitress.server.create_server(
        app,
        sockets=list(sockets),
        threads=_THREADS + MOST_STREAMS,
        connection_limit=_CONNECTIONS,
        max_request_header_size=_LARGEST_HEADER,
        max_request_body_size=LARGEST_BODY,
        channel_timeout=_SILENT_S,
        channel_request_lookahead=1,  # for waitress.client_disconnected
        cleanup_interval=10,
        send_bytes=1,
        ident="eni-ledger",
        clear_untrusted_proxy_headers=True,
        expose_tracebacks=False,
    )
    try:
        ready()
        server.run()  # until SystemExit
    finally:
        streams.stop()
        server.close()


def _share_one_arena() -> None:
    """Have all threads share one arena of malloc's: each of its own would keep what it once needed (mallopt(3))."""
    with suppress(OSError, AttributeError, MemoryError):  # another C library; no callbacks without executable memory
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
