"""HTTP/1.1 to a Unix socket or to a host: one connection for each request, with a time limit and a bound on the answer.

Docker's API and the instance metadata service are asked with it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse
from typing import NamedTuple
from urllib.parse import urlsplit


class HttpError(Exception):
    """The server gave no complete answer; the text is the reason. `absent`: there is no such socket."""

    def __init__(self, reason: str, *, absent: bool = False) -> None:
        super().__init__(reason)
        self.absent = absent


class HttpTimeout(HttpError):
    """The server did not answer within the time limit."""


class AnswerTooLong(HttpError):
    """The body of the answer is longer than the bound."""


class HttpAnswer(NamedTuple):
    """Status, headers and body of an answer."""

    status: int
    headers: HTTPMessage
    body: bytes


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class HttpServer:
    """A server at `address`: an `http://host[:port][/base]` URL, or the absolute path of a Unix socket.

    `timeout_s` bounds each connect, send and receive, `body_max` the body of an answer in bytes. Raises ValueError for
    another kind of address.
    """

    def __init__(self, address: str, timeout_s: float, body_max: int) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._body_max = body_max
        self._base = ""
        self._host, self._port = "", 80
        if not address.startswith("/"):
            parts = urlsplit(address)
            if parts.scheme != "http" or not parts.hostname:
                raise ValueError(f"no http URL: {address!r:.80}")
            self._host, self._port = parts.hostname, parts.port or 80
            self._base = parts.path.rstrip("/")

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Return the answer to one request. Raises HttpError."""
        with self.exchange(method, path, body, headers) as (_, response):
            data = response.read(self._body_max + 1)
            if len(data) > self._body_max:
                raise AnswerTooLong(f"more than {self._body_max} bytes")
            return HttpAnswer(response.status, response.headers, data)

    @contextmanager
    def exchange(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[tuple[socket.socket, HTTPResponse]]:
        """Send one request; yield the socket and the response, its body unread, and close the connection after that.

        For streams that outlast the headers (status 101). Raises HttpError, also for what fails in the `with` block.
        """
        connection = self._connection()
        try:
            connection.request(method, self._base + path, body, dict(headers or {}))
            sock = connection.sock
            yield sock, connection.getresponse()
        except TimeoutError as exc:
            raise HttpTimeout(f"{self._timeout_s:g} s") from exc
        except (OSError, HTTPException) as exc:
            reason = getattr(exc, "strerror", None) or type(exc).__name__
            raise HttpError(reason, absent=isinstance(exc, FileNotFoundError)) from exc
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        if self._address.startswith("/"):
            return _UnixConnection(self._address, self._timeout_s)
        return HTTPConnection(self._host, self._port, timeout=self._timeout_s)
