"""What the commands share: their options, how they reach the ledger, and what they do about a damaged one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eni_ledger import when
from eni_ledger.errors import LedgerDamaged, StateDirError, UsageError
from eni_ledger.render.screen import Screen
from eni_ledger.render.text import age, clock, moment, safe

if TYPE_CHECKING:
    from eni_ledger.ledger.history import History

PROGRAM = "eni-ledger"
COMPLETE_VAR = "_ENI_LEDGER_COMPLETE"
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"]}
_PATHS = ("FILE", "FILE...", "DIR")
F = TypeVar("F", bound=Callable[..., Any])


class Defaults:
    """What was said before the name of the command: options that hold for all of them."""

    def __init__(self, state_dir: str | None = None, no_color: bool = False) -> None:
        self.state_dir = state_dir
        self.no_color = no_color


class Command(click.Command):
    """A command whose help ends with examples, each a full command line with a few words on it."""

    def __init__(self, *args: Any, examples: list[tuple[str, str]], **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", CONTEXT_SETTINGS)
        super().__init__(*args, **kwargs)
        self.examples = examples
        for param in self.params:  # so that shells complete them; what is wrong with one is said better elsewhere
            if param.metavar in _PATHS and param.type is click.STRING:
                param.type = click.Path(readable=False)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; an error that click raises without it learns whose command line it was."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as exc:
            exc.ctx = exc.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; where a value of the ledger made it fail that no eni-ledger writes, say which."""
        try:
            return super().invoke(ctx)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            if not any(param.name == "state_dir" for param in self.params):
                raise
            from eni_ledger.ledger.strange import find

            strange = find(Session(ctx, ctx.params["state_dir"], no_color=True).state_dir())
            if strange is None:
                raise  # then it is a bug
            raise strange from None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples in place of an epilog."""
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write("Examples:\n")
        for line, words in self.examples:
            formatter.write(f"  {line}\n      {words}\n")


class Session:
    """One run of a reading command: the screen, the clock, the ledger."""

    def __init__(self, ctx: click.Context, state_dir: str | None, no_color: bool) -> None:
        defaults = ctx.find_object(Defaults) or Defaults()
        self.screen = Screen(no_color=no_color or defaults.no_color)
        self.now = datetime.now(UTC)
        self._state_dir = state_dir if state_dir is not None else defaults.state_dir

    def state_dir(self) -> str:
        """Return the state directory in force. Raises EniLedgerError when it is set to something impossible."""
        from eni_ledger.config import load

        if self._state_dir == "":
            raise UsageError("--state-dir is empty", hint=f"{PROGRAM} --state-dir /var/lib/eni-ledger list")
        return load(None, os.environ, self._state_dir).state_dir

    def history(self, *, slow: bool = False) -> History:
        """Return the ledger's past and present; `slow` shows progress when the whole of it is read.

        Raises StateDirError when there is no ledger.
        """
        from eni_ledger.ledger.history import History

        state_dir = self.state_dir()
        require_ledger(state_dir)
        if not slow:
            return History(state_dir)
        from eni_ledger.render.progress import Progress

        return History(state_dir, Progress(self.screen, "reading the ledger"))

    def times(self, text: str | None, argument: str, *, future: bool = False) -> tuple[str, str] | None:
        """Return the first and the last moment of what was typed to `argument`, as the ledger writes them.

        None for None. Raises UsageError, also for a time to come unless that may be a `future` one.
        """
        if text is None:
            return None
        first, last = when.span(text, argument=argument, now=self.now)
        if first > self.now and not future:
            hint = f"it is {clock(when.to_ledger(self.now))} UTC now; no zone means UTC"
            raise UsageError(f"{argument} is in the future", f"{clock(when.to_ledger(first))} UTC", hint)
        return when.to_ledger(first), when.to_ledger(last)

    def echo_time(self, ts: str, what: str) -> None:
        """Print the moment that a question was understood to be about, so that nobody is misled by their own words."""
        found = moment(ts) or self.now
        passed = (self.now - found).total_seconds()
        distance = f"{age(passed)} ago" if passed >= 0 else "in the future"
        self.screen.line(f"{safe(what)} at {clock(ts)} UTC ({found:%A}, {distance})")
        self.screen.line()


def require_ledger(state_dir: str) -> None:
    """Raise StateDirError when `state_dir` holds no ledger at all, which is something else than an empty one."""
    from eni_ledger.ledger.reader import Snapshot

    with Snapshot(state_dir) as snapshot:
        if not snapshot.segments:
            raise StateDirError(
                "there is no ledger here",
                f"{state_dir} has no ledger.jsonl",
                "the first ADD creates it; another directory is named with --state-dir or ENI_LEDGER_STATE_DIR",
            )


@contextmanager
def located(state_dir: str) -> Iterator[None]:
    """Give damage that is reported by file name the whole path."""
    try:
        yield
    except LedgerDamaged as exc:
        raise full_path(exc, state_dir) from exc


def full_path(exc: LedgerDamaged, state_dir: str) -> LedgerDamaged:
    """Return the error with a path that can be opened from anywhere."""
    from pathlib import Path

    path = Path(state_dir) / exc.path
    return LedgerDamaged(exc.msg, path=str(path), line=exc.line, offset=exc.offset)


def state_dir_option(function: F) -> F:
    """Add `--state-dir`."""
    return click.option(
        "--state-dir",
        metavar="DIR",
        type=click.Path(readable=False),
        help="The state directory. Default: what ENI_LEDGER_STATE_DIR or the configuration "
        "file says, else /var/lib/eni-ledger.",
    )(function)


def colour_option(function: F) -> F:
    """Add `--no-color`."""
    return click.option("--no-color", is_flag=True, help="No colour on terminals; NO_COLOR does the same.")(function)


def reading(function: F) -> F:
    """Add the options of every command that reads a ledger."""
    return state_dir_option(colour_option(function))


def print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version and end: the callback of `--version`."""
    if wanted and not ctx.resilient_parsing:
        from eni_ledger.version import __version__

        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()
