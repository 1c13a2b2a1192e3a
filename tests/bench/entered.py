"""How many of our modules a call enters: those in which a function runs, by `sys.setprofile`. Imports do not count.

Of a question and of fsck twice: the whole command, and the part that reads the ledger.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING

import eni_ledger
from eni_ledger.cli import quick
from eni_ledger.cli.main import main as command
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.query.questions import History
from eni_ledger.plugin import chained, protocol
from helpers.ledgers import add_event, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ROOT = f"{Path(eni_ledger.__file__).parent}/"
_FUNCTION = 3  # CO_OPTIMIZED and CO_NEWLOCALS: not the body of a module or class


def entered(call: Callable[[], object]) -> list[str]:
    """Return the modules in which a function runs during the second of two calls."""
    seen: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & _FUNCTION == _FUNCTION and code.co_filename.startswith(ROOT):
            seen.add(code.co_filename.removeprefix(ROOT))

    with silent():
        call()
        sys.setprofile(note)
        try:
            call()
        finally:
            sys.setprofile(None)
    return sorted(seen)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Let what is written to standard output and standard error go nowhere."""
    sys.stdout.flush()
    kept = [os.dup(fd) for fd in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for fd in (1, 2):
            os.dup2(nowhere, fd)
        yield
    finally:
        sys.stdout.flush()
        for fd, old in zip((1, 2), kept, strict=True):
            os.dup2(old, fd)
            os.close(old)
        os.close(nowhere)


def add(state_dir: str, config: str) -> int:
    """Make a chained ADD of the loopback interface of this process's namespace, without journald: +1."""
    interface = {"name": "lo", "sandbox": "/proc/self/ns/net"}
    result = {"cniVersion": "1.0.0", "interfaces": [interface]}
    conf = {
        "cniVersion": "1.0.0",
        "name": "n",
        "type": "eni-ledger",
        "stateDir": state_dir,
        "journald": False,
        "prevResult": result,
    }
    env = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": f"{monotonic_ns():064x}",
        "CNI_IFNAME": "lo",
        "CNI_NETNS": "/proc/self/ns/net",
        "CNI_NETNS_OVERRIDE": "1",
        "ENI_LEDGER_CONFIG": config,
    }
    data, reply, errors = io.BytesIO(json.dumps(conf).encode()), io.BytesIO(), io.BytesIO()
    status = protocol.serve(env, data, reply, errors, chained.run, monotonic_ns())
    if status or not reply.getvalue():
        raise SystemExit(f"the ADD failed: {reply.getvalue()!r} {errors.getvalue()!r}")
    return status


def main() -> int:
    """Print the figures, with `--names` also the modules."""
    parser = argparse.ArgumentParser(prog="build/bench --entered", description=__doc__)
    parser.add_argument("--names", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        where, config = f"{scratch}/state", f"{scratch}/config.json"
        Path(config).write_text("{}")
        for n in range(8):
            record(Path(where), add_event(n), rotate_bytes=2000)
        address = add_event(0)["addresses"][0].partition("/")[0]
        last = History(where).live()[-1]["since"]
        calls: list[tuple[str, Callable[[], object]]] = [
            ("chained ADD", lambda: add(f"{scratch}/other", config)),
            ("who IP --at TIME, as the front door answers it", lambda: quick.main(
                ["--state-dir", where, "who", address, "--at", last])),
            ("the same, reading the ledger", lambda: History(where).who(address, last)),
            ("fsck", lambda: command(["--state-dir", where, "fsck"])),
            ("the same, reading the ledger", lambda: fsck(where)),
        ]  # fmt: skip
        for name, call in calls:
            modules = entered(call)
            print(f"{len(modules):4}  {name}")
            if options.names:
                print("".join(f"        {module}\n" for module in modules), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
