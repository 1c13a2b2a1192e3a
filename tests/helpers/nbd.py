"""A disk with a volatile write cache, and an NBD server that lends it to a virtual machine until its power is cut.

What a guest wrote and did not flush is in the memory of the host, which writes it down after the machine was killed:
that is no power cut. Here it is kept in a list, and at the cut each write is
made, dropped, or made in some of its sectors only, in any combination: a drive may do all of that.

The protocol is that of the NBD project's doc/proto.md (fixed newstyle, simple replies), as far as qemu speaks it.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from collections import Counter
from typing import TYPE_CHECKING, cast

from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    import random
    from pathlib import Path
    from typing import IO

_READ, _WRITE, _DISCONNECT, _FLUSH = range(4)
_FUA = 1
_FLAGS = 1 | 4 | 8  # has flags, takes FLUSH, takes FUA
_OPTION_GO, _REPLY_ACK, _REPLY_INFO, _REPLY_UNSUPPORTED = 7, 1, 3, 1 << 31 | 1
_EINVAL = 22


class VolatileDisk:
    """A disk image and the writes to it that were not flushed yet, in their order.

    `atom` is how many bytes the drive writes whole or not at all: 512 in the worst case, 4,096 with those of today.
    """

    def __init__(self, image: Path, atom: int = 512) -> None:
        self._atom = atom
        self._fd = os.open(image, os.O_RDWR | os.O_CLOEXEC)
        self.size = os.fstat(self._fd).st_size
        self._pending: list[tuple[int, bytes, bool]] = []

    def close(self) -> None:
        """Let go of the image; what was not flushed is forgotten."""
        os.close(self._fd)

    def read(self, at: int, length: int) -> bytes:
        """Return what was written last, flushed or not."""
        data = bytearray(os.pread(self._fd, length, at))
        for start, written, _ in self._pending:
            first, last = max(at, start), min(at + length, start + len(written))
            if first < last:
                data[first - at : last - at] = written[first - start : last - start]
        return bytes(data)

    def write(self, at: int, data: bytes, *, through: bool = False) -> None:
        """Take a write into the cache; one that goes `through` (FUA) will survive."""
        self._pending.append((at, data, through))

    def flush(self) -> None:
        """Put everything written so far where no power cut reaches it."""
        for at, data, _ in self._pending:
            os.pwrite(self._fd, data, at)
        self._pending = []

    def cut(self, chance: random.Random) -> Counter[str]:
        """Lose the cache as a drive may; return how many writes were `kept`, `dropped` and `torn`.

        A later write may be on the disk without an earlier one, also of the same sector.
        """
        keep, tear = chance.choice((0.0, 0.2, 0.5, 0.8, 1.0)), chance.choice((0.0, 0.3, 0.8))
        fates: Counter[str] = Counter()
        for at, data, through in self._pending:
            fate = "kept" if through or chance.random() < keep else "dropped"
            if not through and len(data) > self._atom and chance.random() < tear:
                fate = "torn"
            fates[fate] += 1
            for start in range(0, len(data), self._atom):
                if fate == "kept" or (fate == "torn" and chance.random() < 0.5):
                    os.pwrite(self._fd, data[start : start + self._atom], at + start)
        self._pending = []
        return fates


class Server:
    """Lends a VolatileDisk to one machine at a time over the UNIX socket at `path`, to the next one when it ends.

    A machine that does not come up is started again, with the same disk; after the cut there is none any more.
    `cut_after(n)` kills that machine at its n-th write or flush from then on: what asks for it gets no answer, and
    nothing is done any more. `was_cut` tells whether that came to pass. A context manager.
    """

    def __init__(self, disk: VolatileDisk, path: Path) -> None:
        self._disk = disk
        self._left: int | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.was_cut = False
        self.requests: Counter[str] = Counter()

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(PATIENCE_S)

    def cut_after(self, writes_and_flushes: int) -> None:
        """Arm the cut."""
        self._left = writes_and_flushes

    def _serve(self) -> None:
        while not self.was_cut:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # nobody comes any more
            self._lend(connection)

    def _lend(self, connection: socket.socket) -> None:
        """Do what one machine asks for, until it ends."""
        with connection, cast("IO[bytes]", connection.makefile("rwb")) as stream:
            try:
                if self._negotiate(stream):
                    while self._answer(stream, connection):
                        pass
            except (EOFError, OSError):
                pass  # the machine is gone

    def _negotiate(self, stream: IO[bytes]) -> bool:
        """Go through the handshake; return whether the client wants the disk now."""
        stream.write(struct.pack(">8s8sH", b"NBDMAGIC", b"IHAVEOPT", 1 | 2))
        stream.flush()
        _exactly(stream, 4)
        while True:
            _, option, length = struct.unpack(">8sII", _exactly(stream, 16))
            _exactly(stream, length)
            if option == _OPTION_GO:
                _option_reply(stream, option, _REPLY_INFO, struct.pack(">HQH", 0, self._disk.size, _FLAGS))
            _option_reply(stream, option, _REPLY_ACK if option == _OPTION_GO else _REPLY_UNSUPPORTED)
            stream.flush()
            if option == _OPTION_GO:
                return True

    def _answer(self, stream: IO[bytes], connection: socket.socket) -> bool:
        """Do one request; return whether there may be another."""
        _, flags, kind, cookie, at, length = struct.unpack(">IHHQQI", _exactly(stream, 28))
        data = _exactly(stream, length) if kind == _WRITE else b""
        if kind == _DISCONNECT:
            return False
        error, found = 0, b""
        if kind == _READ:
            found = self._disk.read(at, length)
        elif kind == _WRITE:
            self._disk.write(at, data, through=bool(flags & _FUA) and self._left != 1)
        elif kind != _FLUSH:
            error = _EINVAL
        if kind in (_WRITE, _FLUSH):
            self.requests["writes" if kind == _WRITE else "flushes"] += 1
            if self._is_the_moment(connection):
                return False
        if kind == _FLUSH:
            self._disk.flush()
        stream.write(struct.pack(">IIQ", 0x67446698, error, cookie) + found)
        stream.flush()
        return True

    def _is_the_moment(self, connection: socket.socket) -> bool:
        """Count one write or flush; at the one that was waited for, kill the machine and return True."""
        if self._left is None:
            return False
        self._left -= 1
        if self._left > 0:
            return False
        machine, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        os.kill(machine, signal.SIGKILL)
        self.was_cut = True
        while connection.recv(1 << 16):
            pass  # it is not to see the disk go before it goes itself
        return True


def _exactly(stream: IO[bytes], length: int) -> bytes:
    """Return `length` bytes. Raises EOFError when there are no more."""
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _option_reply(stream: IO[bytes], option: int, kind: int, data: bytes = b"") -> None:
    stream.write(struct.pack(">QIII", 0x3E889045565A9, option, kind, len(data)) + data)
