"""The front door: a runtime's call goes to the plugin, everything else to the command line.

A plugin call has no arguments and at least one CNI_* variable in its environment; or argv[0] is one of the ECS agent's
plugins, whatever the arguments, and the call is interposed. The command line is a
program of its own (`eni-ledger-cli`, in the bundle next to this one), so that an ADD loads none of its
libraries. A plain question does not either, see `cli.quick`.

Imports inside functions: each kind of call loads the modules of its kind only.
"""

from __future__ import annotations

import os
import sys
from time import monotonic_ns

from eni_ledger.base.runtime import CLI, INTERPOSED, original_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from eni_ledger.plugin.protocol import Call

UNKNOWN_PLACE = "eni-ledger cannot tell where it is installed: /proc is not there, or the path has 4096 bytes or more"
_OF_A_CALL = ("CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS")


def main() -> int:
    """Serve the plugin call, or run the command and return its exit status."""
    name = os.path.basename(sys.argv[0])
    if name in INTERPOSED:
        _interposed(name, monotonic_ns())
    if len(sys.argv) <= 1 and any(name in os.environ for name in _OF_A_CALL):
        _plugin(monotonic_ns())
    if getattr(sys, "frozen", False):
        answered = _question() if "who" in sys.argv[1:4] or "list" in sys.argv[1:4] else None
        return _hand_over() if answered is None else answered
    from eni_ledger.cli.main import main as commands

    return commands()


def _plugin(started: int) -> NoReturn:
    """Serve the call and exit without finalizing the interpreter, which costs time."""
    from eni_ledger.plugin.protocol import serve

    stdin, stdout, stderr = (getattr(stream, "buffer", None) for stream in (sys.stdin, sys.stdout, sys.stderr))
    # Python ignores SIGPIPE: if the runtime has gone, the write fails.
    os._exit(serve(os.environ, stdin, stdout, stderr, _chained, started))


def _interposed(name: str, started: int) -> NoReturn:
    """Run the delegate `name`, record the call, and exit with the delegate's status."""
    from eni_ledger.plugin import interposed
    from eni_ledger.plugin.protocol import Call, guarded

    stdout, stderr = (getattr(stream, "buffer", None) for stream in (sys.stdout, sys.stderr))
    os._exit(guarded(Call(os.environ, stdout, stderr, started), lambda call: interposed.run(name, call)))


def _chained(call: Call) -> None:
    from eni_ledger.plugin import chained

    chained.run(call)


def _question() -> int | None:
    """Answer a plain question and return the exit status, None if only the full command line can answer."""
    try:
        from eni_ledger.cli import quick
    except ImportError:
        return None
    return quick.main(sys.argv[1:])


def _hand_over() -> int:
    """Execute the command line program; return 3 if it is missing or its place is unknown."""
    if not sys.executable.startswith("/"):  # a relative path would run a file of the current directory
        sys.stderr.write(f"error: {UNKNOWN_PLACE}\ntry: mount /proc, and install the bundle under a shorter path\n")
        return 3
    program = os.path.join(os.path.dirname(sys.executable), CLI)
    try:
        env = original_environment(os.environ)
        os.execve(program, [program, *sys.argv[1:]], env)  # noqa: S606 - our own sibling, by its full path
    except OSError as exc:
        sys.stderr.write(f"error: {program} cannot be run: {exc.strerror}\ntry: install the bundle again\n")
        return 3


if __name__ == "__main__":
    sys.exit(main())
