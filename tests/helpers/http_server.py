"""A web server on an address or a Unix socket that answers as a test tells it, and remembers what it was asked."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Request:
    """What came in; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Reply:
    """What goes out. `wait`: nothing, until the server is stopped."""

    status: int = 200
    body: str | bytes = ""
    headers: dict[str, str] = field(default_factory=dict)
    wait: bool = False


@dataclass
class Server:
    """`url` (or the path of the socket) and the requests so far."""

    url: str
    requests: list[Request] = field(default_factory=list)


class _Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def serve(
    answer: Callable[[Request], Reply], unix: Path | None = None, at: tuple[str, int] = ("127.0.0.1", 0)
) -> Iterator[Server]:
    """Run a server until the block ends, at an address and port (0: any) or a Unix socket."""
    over = threading.Event()
    server: Server

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(length).decode())
            server.requests.append(request)
            reply = answer(request)
            if reply.wait:
                over.wait(30)
                return
            body = reply.body.encode() if isinstance(reply.body, str) else reply.body
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = _any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: Any) -> None:
            pass

        def address_string(self) -> str:
            return "test"

    listener: Any = _Unix(str(unix), Handler) if unix else _Tcp(at, Handler)
    server = Server(str(unix) if unix else f"http://{at[0]}:{listener.server_address[1]}")
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        over.set()
        listener.shutdown()
        thread.join()
        listener.server_close()
