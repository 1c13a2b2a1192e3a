"""A plain question, answered by the front door itself: `list` or `who WHAT`, with times and filters or without.

Starting the command line takes several times as long as such an answer: its libraries are loaded for what is hardly
ever asked of them. So the front door, which has an interpreter of its own, tries first, with the same code less the
libraries, and keeps what it would print until the answer is whole. Whatever is not plain, to be parsed, found or
printed (a table on a terminal takes rich), any error but that nothing was found, is for the command line, which
begins again as if nothing had been tried.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from eni_ledger.base.errors import NotFound
from eni_ledger.base.host import DOCKER_SOCKET
from eni_ledger.cli.session import ZONE_VAR, Session, tell
from eni_ledger.ledger.read.filter_fields import FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 0.2
"""Seconds, after which it is not plain any more: the command line parses quicker, and shows a progress bar."""

_MAKES_IT_ANOTHER = ("_ENI_LEDGER_COMPLETE", ZONE_VAR)
"""Variables of the environment with which a question is not plain."""
_TIMES = ("--at", "--since", "--until")
_FILTERS = {f"--{name}": name for name in FIELDS}
_OF_A_QUESTION = frozenset((*_TIMES, *_FILTERS, "--mismatch", "--json"))
"""Options of `list` and `who`, which stand behind the command."""
_WITH_A_VALUE = frozenset(("--state-dir", *_TIMES, *_FILTERS))
_OF_THE_PRESENT = frozenset(("--state-dir", "--json", "--no-color"))
_WORDS = {"list": (1, 2), "who": (2,)}
_FLAGS = ("--json", "--mismatch", "--no-color")
_FOUND_NOTHING, _FAILED, _PIPE_CLOSED = 1, 3, 141  # as `main` has them


class _NotPlain(Exception):
    """The question is one for the command line."""


class _Kept:
    """Standard output or error, as far as text is printed to it, kept until all of it is there."""

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

    def docker(self, _: str) -> None:
        """Leave a name that Docker may know to the command line, where root asks Docker."""
        if os.geteuid() == 0 and os.path.exists(DOCKER_SOCKET):  # noqa: PTH110 - pathlib is not in the front door
            raise _NotPlain

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
    stdout, stderr, nothing = sys.stdout, sys.stderr, None
    try:
        words, options = _parsed(arguments)
        as_json = "--json" in options
        if stdout is None or (stdout.isatty() and not as_json):
            return None
        kept, said = sys.stdout, sys.stderr = _Kept(), _Kept()  # as much of a stream as is used
        session = _Plain(*(options[name] for name in ("--state-dir",) if name in options))
        try:
            if words != ["list"] or not _OF_THE_PRESENT.issuperset(options) or not _live_now(session, as_json=as_json):
                _ask(session, words, options, as_json=as_json)
        except NotFound as exc:
            nothing = exc
    except Exception:
        return None  # the command line meets it again, and says it
    finally:
        sys.stdout, sys.stderr = stdout, stderr
    status = _print("".join(kept.parts).encode("utf-8", "backslashreplace"), "".join(said.parts))
    if status != 0:
        return status
    if nothing is None:
        return 0
    tell(nothing)
    return _FOUND_NOTHING


def _live_now(session: Session, *, as_json: bool) -> bool:
    from eni_ledger.cli.live_now import print_live_now  # start-up: each question loads what it needs

    return print_live_now(session, as_json=as_json)


def _ask(session: Session, words: list[str], options: dict[str, str], *, as_json: bool) -> None:
    """Print the answer. Raises as `answers.live` and `answers.who` do."""
    from eni_ledger.cli import answers  # start-up: a plain list does without, and without what follows
    from eni_ledger.cli.request import Request  # the same
    from eni_ledger.ledger.read.filters import Filters  # the same
    from eni_ledger.render.form import Form  # the same

    given = {name: (options[option],) for option, name in _FILTERS.items() if option in options}
    at, since, until = map(options.get, _TIMES)
    filters = Filters(given, mismatch="--mismatch" in options)
    form = Form("json" if as_json else "table")
    request = Request(words[1:], at=at, since=since, until=until, filters=filters, form=form)
    (answers.live if words[0] == "list" else answers.who)(session, request)


def _parsed(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command and what is asked for, and the options. Raises _NotPlain."""
    words: list[str] = []
    options: dict[str, str] = {}
    left = iter(arguments)
    if any(os.environ.get(name) for name in _MAKES_IT_ANOTHER):
        raise _NotPlain
    for each in left:
        if each in options or not each.isascii():
            raise _NotPlain
        if each in _OF_A_QUESTION and not words:
            raise _NotPlain
        if each in _WITH_A_VALUE:
            options[each] = next(left, "")
        elif each in _FLAGS:
            options[each] = each
        elif each.startswith("-"):
            raise _NotPlain
        else:
            words.append(each)
    if len(words) not in _WORDS.get(words[0] if words else "", ()) or "" in (*words, *options.values()):
        raise _NotPlain
    return words, options


def _print(data: bytes, said: str) -> int | None:
    """Write the answer to standard output and what was `said` beside it to standard error.

    Return the exit status, None when nothing of the answer could be written.
    """
    done, status = 0, 0
    try:
        while done < len(data):
            done += os.write(1, data[done:])
    except BrokenPipeError:
        status = _PIPE_CLOSED
    except OSError as exc:
        if not done:
            return None
        said, status = f"{said}error: {exc.strerror}\n", _FAILED
    if said and sys.stderr is not None:
        sys.stderr.write(said)
    return status
