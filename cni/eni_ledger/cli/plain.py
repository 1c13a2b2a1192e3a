"""A plain question, answered by the front door itself: `who WHAT [--at TIME]`, into a pipe or with `--json`.

Starting the command line takes several times as long as such an answer: its libraries are loaded for what is hardly
ever asked of them. So the front door, which has an interpreter of its own, tries first, with the same code less the
libraries, and keeps what it would print until the answer is whole. Whatever is not plain, to be parsed, found or
printed, any error but that nothing was found, is for the command line, which begins again as if nothing had been tried.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from eni_ledger.cli.session import Session, tell
from eni_ledger.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 0.3
"""Seconds, after which it is not plain any more: the command line parses quicker, and shows a progress bar."""

_WITH_A_VALUE = ("--state-dir", "--at")
_FLAGS = ("--json", "--no-color")
_FOUND_NOTHING, _FAILED, _PIPE_CLOSED = 1, 3, 141  # as `main` has them


class _NotPlain(Exception):
    """The question is one for the command line."""


class _Kept:
    """Standard output, as far as text is printed to it, kept until all of it is there."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, text: str) -> None:
        """Keep the text."""
        self.parts.append(text)

    def isatty(self) -> bool:
        """Tell that it is no terminal."""
        return False


class _Plain(Session):
    """A session without a progress bar, in which nothing takes long."""

    def progress(self) -> _Patience:  # type: ignore[override]  # what is used of a progress bar
        """Return what gives up when it has taken too long."""
        return _Patience()


class _Patience:
    def __init__(self) -> None:
        self._until = monotonic() + PATIENCE

    def __call__(self, done: int, total: int) -> None:
        if done < total and monotonic() > self._until:
            raise _NotPlain

    def close(self) -> None:
        """Do nothing: there is no bar."""


def main(arguments: Sequence[str]) -> int | None:
    """Answer the question on this command line; return the exit status, None when nothing has been done."""
    screen, nothing = sys.stdout, None
    try:
        what, options = _parsed(arguments)
        if screen is None or (screen.isatty() and "--json" not in options):
            return None
        kept = sys.stdout = _Kept()  # as much of a stream as is used
        from eni_ledger.cli.asked import answer

        try:
            answer(_Plain(options.get("--state-dir")), what, options.get("--at"), as_json="--json" in options)
        except NotFound as exc:
            nothing = exc
    except Exception:
        return None  # the command line meets it again, and says it
    finally:
        sys.stdout = screen
    status = _print("".join(kept.parts).encode("utf-8", "backslashreplace"))
    if status == 0 and nothing is not None:
        tell(nothing)
        return _FOUND_NOTHING
    return status


def _parsed(arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return what is asked for, and the options. Raises _NotPlain."""
    words: list[str] = []
    options: dict[str, str] = {}
    left = iter(arguments)
    for each in left:
        if each in options or not each.isascii() or "_ENI_LEDGER_COMPLETE" in os.environ:
            raise _NotPlain
        if each in _WITH_A_VALUE and (words or each != "--at"):
            options[each] = next(left, "")
        elif each in _FLAGS and (words or each != "--json"):
            options[each] = each
        elif each.startswith("-"):
            raise _NotPlain
        else:
            words.append(each)
    if len(words) != 2 or words[0] != "who" or "" in (words[1], *options.values()):
        raise _NotPlain
    return words[1], options


def _print(data: bytes) -> int | None:
    """Write the answer to standard output; return the exit status, None when nothing of it could be written."""
    done = 0
    try:
        while done < len(data):
            done += os.write(1, data[done:])
    except BrokenPipeError:
        return _PIPE_CLOSED
    except OSError as exc:
        if not done:
            return None
        if sys.stderr is not None:
            sys.stderr.write(f"error: {exc.strerror}\n")
        return _FAILED
    return 0
