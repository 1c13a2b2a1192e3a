"""Shared by commands that act on a live association of this host: which one it is, and entering its namespace."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Sequence
from typing import NoReturn

from eni_ledger.base.errors import EniLedgerError, NotFound, ObserveError, UsageError
from eni_ledger.base.runtime import original_environment
from eni_ledger.cli.recording import refuse_copy
from eni_ledger.cli.session import Session
from eni_ledger.desk.wire.chosen import chosen
from eni_ledger.kernel.recorded import open_netns
from eni_ledger.kernel.setns import setns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association


def live_association(session: Session, what: str) -> Association:
    """Return the live association of this host that `what` means. Raises as `chosen` does; StateDirError for a copy."""
    history = session.history()
    association = chosen(history, what)
    refuse_copy(session)
    return association


def enter_netns(association: Association) -> None:
    """Put this process into the association's network namespace. Raises ObserveError."""
    fd = open_netns(association)
    try:
        setns(fd)
    except OSError as exc:
        raise ObserveError(
            "the network namespace cannot be entered", exc.strerror or str(exc), "run it as root"
        ) from exc
    finally:
        os.close(fd)


def nsenter(association: Association) -> list[str]:
    """Return the beginning of a command line that runs a program in the association's network namespace.

    Raises ObserveError when the namespace is not the one recorded.
    """
    os.close(open_netns(association))
    path = f"/proc/{association['pid']}/ns/net" if "pid" in association else association.get("netns")
    return ["nsenter", f"--net={path}"]


def show(session: Session, association: Association, argv: Sequence[str], *, as_json: bool) -> None:
    """Print a command line that is not run, for a shell or as JSON."""
    if as_json:
        session.screen.json_document({"association_id": association["association_id"], "argv": list(argv)})
    else:
        session.screen.line(shlex.join(argv))


def execute(argv: Sequence[str]) -> NoReturn:
    """Run a program in place of this one.

    Raises NotFound when there is none of that name; EniLedgerError when it cannot be run; UsageError.
    """
    if "\0" in "".join(argv):
        raise UsageError("an argument with a null byte")
    program = shutil.which(argv[0])
    if program is None:
        raise NotFound("there is no such program", f"'{argv[0]:.80}'")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the program would inherit that
    try:
        os.execve(program, list(argv), original_environment(os.environ))  # noqa: S606 - no shell is wanted
    except OSError as exc:
        raise EniLedgerError("the program cannot be run", f"{program}: {exc.strerror}") from exc
