"""A real systemd-journald of one's own, in a private mount namespace: nothing of it is left behind.

journald has no option for another directory, so it gets another `/run`: a tmpfs that only it and what is run
by `Journal.run` can see. The sockets are reached from outside through `/proc/<pid>/root`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

JOURNALD = Path("/lib/systemd/systemd-journald")

# Audit and the kernel's log are the machine's, not ours; with the rate limit a thousand entries would be
# a matter of timing.
_CONFIG = """[Journal]
Storage=volatile
Audit=no
ReadKMsg=no
Seal=no
RateLimitIntervalSec=0
ForwardToSyslog=no
ForwardToKMsg=no
ForwardToConsole=no
ForwardToWall=no
"""

_START = """set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journald.conf.d
printf '%s' "$2" > /run/systemd/journald.conf.d/test.conf
if [ -d /var/log/journal ]; then mount -t tmpfs tmpfs /var/log/journal; fi
exec "$1"
"""

# The ECS agent's container: /var/run is a bind mount of the host's, /run is empty and its own.
_ONLY_VAR_RUN = """set -e
mkdir -p "$1/run"
mount --rbind /run "$1/run"
mount --rbind "$1" /var
mount -t tmpfs tmpfs /run
shift
exec "$@"
"""


class Journal:
    """A running journald; use as a context manager."""

    def __init__(self) -> None:
        tools = [name for name in ("unshare", "nsenter", "journalctl") if shutil.which(name) is None]
        need(os.geteuid() == 0, "root, for a mount namespace")
        need(
            JOURNALD.exists() and not tools,
            f"systemd-journald, unshare, nsenter, journalctl (missing: {tools})",
        )
        need(Path("/etc/machine-id").exists(), "/etc/machine-id, without which journald does not start")
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _START, "sh", JOURNALD, _CONFIG],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.root = Path(f"/proc/{self.pid}/root")
        self.sockets = (f"{self.root}/run/systemd/journal/socket",)

    def __enter__(self) -> Self:
        deadline = time.monotonic() + PATIENCE_S
        while not self._ready():
            if self._process.poll() is not None:
                assert self._process.stderr is not None
                raise RuntimeError(f"journald did not start: {self._process.stderr.read()}")
            if time.monotonic() > deadline:
                self.stop()
                raise TimeoutError("journald did not open its socket")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ready(self) -> bool:
        # Until the shell has become journald, /run below its root is still the machine's own.
        try:
            running = Path(f"/proc/{self.pid}/comm").read_text() == "systemd-journal\n"
        except OSError:
            return False
        return running and Path(f"{self.root}/run/systemd/journal/io.systemd.journal").exists()

    def stop(self) -> None:
        """End journald; its namespace and all in it go with it."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)
        self._process.wait(PATIENCE_S)
        if self._process.stderr is not None:
            self._process.stderr.close()

    def freeze(self) -> None:
        """Stop journald from reading, as an overloaded one does for a while."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def command(self, argv: Sequence[str | Path]) -> list[str]:
        """Return `argv` as it has to be run to see this journald at the standard paths."""
        return ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", "--", *map(str, argv)]

    def run(self, argv: Sequence[str | Path]) -> str:
        """Run a command that sees this journald at the standard paths; return its stdout."""
        done = subprocess.run(self.command(argv), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_with_only_var_run(self, argv: Sequence[str | Path], scratch: Path) -> str:
        """The same where only `/var/run/systemd` leads to it, as in the ECS agent's container."""
        inner: list[str | Path] = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            _ONLY_VAR_RUN,
            "sh",
            scratch,
        ]
        return self.run([*inner, *argv])

    def entries(self, *matches: str) -> list[dict[str, object]]:
        """Return the entries that match `FIELD=value`, oldest first, as `journalctl -o json` has them.

        A value that is no printable text is bytes; a field given several times is a list.
        """
        self.run(["journalctl", "--sync"])
        out = self.run(["journalctl", "--output=json", "--all", "--no-pager", *matches])
        return [{name: _value(value) for name, value in json.loads(line).items()} for line in out.splitlines()]


def _value(value: object) -> object:
    if isinstance(value, list):
        if value and all(isinstance(item, int) for item in value):
            return bytes(value)
        return [_value(item) for item in value]
    return value
