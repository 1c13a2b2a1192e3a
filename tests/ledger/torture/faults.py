"""Writers in which a chosen call fails, stops or kills; see `faulty.py` beside this directory."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

SCRIPT = Path(__file__).parents[1] / "faulty.py"

LIBRARIES = str(Path(orjson.__file__).parents[1])
"""Where the libraries are that `fsck --repair` and `prune` need."""

Answer = dict[str, Any]


class Server:
    """A process that does what it is asked for in children of its own, which import eni_ledger from `source`."""

    def __init__(self, source: Path, prefix: tuple[str, ...] = (), *, dry: bool = False) -> None:
        self._dry = dry
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-I", "-S", str(SCRIPT), str(source), LIBRARIES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, do: list[Any], where: Path, fault: dict[str, Any] | None = None, **settings: Any) -> Answer:
        """Have `do` done in the state directory `where`, with `fault`; return what came of it.

        Raises RuntimeError for an exception that is none of the ledger's: that is a bug.
        """
        request = {"do": do, "dir": str(where), "settings": {"sync": True, "lock_wait_ms": 0} | settings}
        return self._talk(json.dumps({**request, "fault": fault, "dry": self._dry}))

    @property
    def pid(self) -> int:
        """Return the process."""
        return self._process.pid

    def ready(self) -> None:
        """Return once it serves. Raises RuntimeError when it does not come to that."""
        self._talk("null")

    def go_on(self) -> Answer:
        """Let the child that was stopped go on, and return what came of it."""
        return self._talk("")

    def _talk(self, line: str) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the server of writers is gone: {self._process.wait()}")
        found = json.loads(answer)
        if "bug" in found:
            raise RuntimeError(found["bug"])
        assert isinstance(found, dict)
        return found

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def server(source: Path, prefix: tuple[str, ...] = (), *, dry: bool = False) -> Iterator[Server]:
    """Yield a Server that is ended afterwards; `dry`: its writers count a sync and do not do it."""
    made = Server(source, prefix, dry=dry)
    try:
        yield made
    finally:
        made.close()


def boundaries(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the calls that are counted: those that change something."""
    return [call for call in calls if call["call"] != "close"]


def again(template: Path, where: Path) -> Path:
    """Make `where` a fresh copy of the state directory `template`, which may be missing, and return it."""
    shutil.rmtree(where, ignore_errors=True)
    if template.exists():
        shutil.copytree(template, where)
    return where
