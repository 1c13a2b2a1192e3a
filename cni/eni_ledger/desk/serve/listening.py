"""Where the server listens: an address, a Unix socket, or sockets that systemd hands over (sd_listen_fds(3))."""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from eni_ledger.base.errors import EniLedgerError, UsageError
from eni_ledger.render.text import safe

UNIX = "unix:"
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+|localhost)):([0-9]{1,5})", re.ASCII)
_FIRST_FD = 3  # SD_LISTEN_FDS_START
_MOST_FDS = 8
_BACKLOG = 64
_MODE = 0o660


class ListenError(EniLedgerError):
    """The server cannot listen where it should."""


class Place:
    """Where to listen: `path` of a Unix socket, else `host`, an address, and `port`."""

    def __init__(self, *, path: str = "", host: str = "", port: int = 0) -> None:
        self.path = path
        self.host = host
        self.port = port

    @property
    def local(self) -> bool:
        """Whether only this host can connect."""
        return bool(self.path) or ip_address(self.host).is_loopback

    def __str__(self) -> str:
        if self.path:
            return UNIX + self.path
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def place(text: str) -> Place:
    """Return what `--listen` names: ``unix:/PATH``, ``ADDRESS:PORT`` or ``[ADDRESS]:PORT``. Raises UsageError."""
    hint = "--listen 127.0.0.1:8080, or --listen unix:/run/eni-ledger.sock"
    if text.startswith(UNIX):
        path = text.removeprefix(UNIX)
        if not path.startswith("/") or "\0" in path or len(os.fsencode(path)) > 107:  # sockaddr_un
            raise UsageError("the path of a Unix socket is absolute and has at most 107 bytes", safe(path), hint)
        return Place(path=path)
    found = _ADDRESS.fullmatch(text)
    if not found or int(found[3]) > 65535:
        raise UsageError("--listen is not a place to listen", safe(text[:100]), hint)
    host = found[1] or found[2].replace("localhost", "127.0.0.1")
    try:
        ip_address(host)
    except ValueError as exc:
        raise UsageError("--listen has no IP address", safe(host), hint) from exc
    return Place(host=host, port=int(found[3]))


def listen(where: Place) -> socket.socket:
    """Return a socket that listens at `where`. Raises ListenError: the port is in use, or it is not permitted."""
    try:
        return _listen_unix(where.path) if where.path else _listen_inet(where)
    except OSError as exc:
        hint = "another program listens there; ss -ltnp shows which" if exc.errno == 98 else ""
        raise ListenError("cannot listen", f"{where}: {(exc.strerror or str(exc)).lower()}", hint) from exc


def _listen_inet(where: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((where.host, where.port))
        made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    where.port = made.getsockname()[1]
    return made


def _listen_unix(path: str) -> socket.socket:
    """Return a socket for root and its group; one that nobody listens on any more is replaced."""
    _remove_abandoned(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~_MODE)
    try:
        made.bind(path)
        made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    finally:
        os.umask(before)
    return made


def _remove_abandoned(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ListenError("there is something else in place of the socket", safe(path))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
        else:
            raise ListenError("cannot listen", f"{UNIX}{path}: another program listens there")


def handed_over(environ: Mapping[str, str]) -> list[socket.socket]:
    """Return the listening sockets that systemd has handed over, none without LISTEN_FDS. Raises ListenError."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    text = environ.get("LISTEN_FDS", "")
    if not text.isdecimal() or not 0 < int(text) <= _MOST_FDS:
        raise ListenError("LISTEN_FDS is no number of sockets", safe(text[:20]))
    sockets = []
    for fd in range(_FIRST_FD, _FIRST_FD + int(text)):
        os.set_inheritable(fd, False)
        try:
            made = socket.socket(fileno=fd)
            listens = made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as exc:
            raise ListenError("a descriptor of systemd's is no socket", f"{fd}: {exc.strerror}") from exc
        if not listens or made.type != socket.SOCK_STREAM:
            raise ListenError("a socket of systemd's does not listen", str(fd), "ListenStream= in the .socket unit")
        sockets.append(made)
    if len({made.family == socket.AF_UNIX for made in sockets}) > 1:
        raise ListenError("Unix sockets and others need a unit each")
    return sockets


def place_of(made: socket.socket) -> Place:
    """Return where a socket listens."""
    name = made.getsockname()
    return Place(path=str(name)) if made.family == socket.AF_UNIX else Place(host=name[0], port=name[1])
