"""Shared by all commands: options, help with examples, `--version`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from eni_ledger.base.errors import LedgerDamaged, UsageError
from eni_ledger.base.version import __version__
from eni_ledger.cli.session import PROGRAM, Session, full_path
from eni_ledger.cli.words import CompletedText, times, zone_names

COMPLETE_VAR = "_ENI_LEDGER_COMPLETE"
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"]}
_PATHS = ("FILE", "FILE...", "DIR")
_TIMES = ("TIME", "DAY")
_TYPED, _ZONE, _STATE_DIRS = "eni_ledger.typed", "eni_ledger.zone", "eni_ledger.state_dirs"
_SAMPLE = "eni_ledger.sample"
_LIKE = 0.7  # of difflib; with less --since is like --json
_PAGED, _NO_PAGER = "eni_ledger.paged", "eni_ledger.no_pager"
F = TypeVar("F", bound=Callable[..., Any])


class Defaults:
    """The options given before the command's name; they apply to every command."""

    def __init__(self, no_color: bool = False) -> None:
        self.no_color = no_color


def session_of(ctx: click.Context, state_dir: str | None, no_color: bool) -> Session:  # noqa: ARG001 - the first one
    """Return the command's session, for the options given before its name and its own."""
    defaults = ctx.find_object(Defaults) or Defaults()
    return Session(
        *state_dirs(ctx), no_color=no_color or defaults.no_color, tz=ctx.meta.get(_ZONE), sample=sampled(ctx)
    )


def state_dirs(ctx: click.Context) -> list[str]:
    """Return every `--state-dir`, those before the command's name first."""
    return list(ctx.meta.get(_STATE_DIRS, ()))


_EXAMPLE = 80  # columns of an example; the options of a longer one are put on lines of their own


def sampled(ctx: click.Context) -> bool:
    """Tell whether `--sample` is given."""
    return bool(ctx.meta.get(_SAMPLE))


class WrongOption(click.NoSuchOption):
    """An option that the command does not have; `meant` are similar options that it has."""

    def __init__(self, name: str, meant: list[str], ctx: click.Context) -> None:
        super().__init__(name, f"No such option {name!r}.", ctx=ctx)
        self.meant = meant

    def format_message(self) -> str:
        """Return the message, with a suggestion if there is a similar option."""
        question = f" Did you mean {' or '.join(map(repr, self.meant))}?" if self.meant else ""
        return self.message + question


class Parsed(click.Command):
    """A command or group that refuses an option given twice and suggests similar ones for an unknown option."""

    usage_status = 2
    """Exit status for a command line that cannot be understood."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `args` and give each click error its context, which `main` prints as the command's name.

        Raises UsageError for an option given twice, also if once before the command's name.
        """
        try:
            if not ctx.resilient_parsing:
                self._refuse_twice(ctx, args)
            return super().parse_args(ctx, args)
        except click.NoSuchOption as exc:
            raise WrongOption(exc.option_name, near(exc.option_name, args, self.params), exc.ctx or ctx) from exc
        except click.UsageError as exc:
            exc.ctx = exc.ctx or ctx
            raise

    def _refuse_twice(self, ctx: click.Context, args: list[str]) -> None:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        typed = ctx.meta.setdefault(_TYPED, set())  # shared with the parent context
        for param in order:
            if isinstance(param, click.Option) and not param.multiple:
                if param.name in typed:
                    hint = f"{ctx.command_path} --help"
                    raise UsageError("this option is given twice", max(param.opts, key=len), hint)
                typed.add(param.name)


def near(name: str, args: Iterable[str], params: Iterable[click.Parameter]) -> list[str]:
    """Return the long options of `params` that start with the unknown option `name`, or else the most similar one."""
    from difflib import get_close_matches  # needed only after a wrong option

    by_word = {opt.lstrip("-"): opt for param in params for opt in param.opts if opt.startswith("--")}
    if not name.startswith("--"):  # click reports -json as -j
        name = next((arg for arg in args if arg.startswith(name) and len(arg) > len(name)), name)
    word = name.lstrip("-").partition("=")[0].lower()
    longer = [option for option in by_word if len(word) > 1 and option.startswith(word)]
    return [by_word[option] for option in longer or get_close_matches(word, by_word, 1, _LIKE)]


class Command(Parsed):
    """A command whose help ends with examples: pairs of a command line and what it does."""

    def __init__(self, *args: Any, examples: list[tuple[str, str]], **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", CONTEXT_SETTINGS)
        super().__init__(*args, **kwargs)
        self.examples = examples
        for param in self.params:  # for completion only: our own errors explain a wrong path better than click's
            if param.metavar in _PATHS and param.type is click.STRING:
                param.type = click.Path(readable=False)
            elif param.metavar in _TIMES and param.type is click.STRING:
                param.type = CompletedText(times)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises LedgerError if it fails on a value in the ledger that has the wrong type."""
        try:
            if not _to_be_paged(ctx):
                return super().invoke(ctx)
            from eni_ledger.cli.pager import paged  # loads subprocess, which a pipe does without

            with paged():
                return super().invoke(ctx)
            return 0  # the reader left the pager before the end
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            if not any(param.name == "state_dir" for param in self.params):
                raise
            from eni_ledger.ledger.check.malformed import find  # loads pydantic

            malformed = find(session_of(ctx, None, no_color=True).ask())
            if malformed is None:
                raise  # a bug of ours
            raise malformed from None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples after the options."""
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write("Examples:\n")
        for line, purpose in self.examples:
            shown = line if len(line) <= _EXAMPLE else line.replace(" --", " \\\n    --")
            formatter.write(f"  {shown}\n      {purpose}\n")


def _to_be_paged(ctx: click.Context) -> bool:
    """Tell whether the command's output may go to a pager: on a terminal, and if it comes to an end."""
    goes_on = ctx.params.get("follow") or ctx.params.get("watch")
    return bool(ctx.meta.get(_PAGED)) and not goes_on and sys.stdout is not None and sys.stdout.isatty()


@contextmanager
def located(state_dir: str) -> Iterator[None]:
    """Re-raise LedgerDamaged with the full path of the damaged file."""
    try:
        yield
    except LedgerDamaged as exc:
        raise full_path(exc, state_dir) from exc


def state_dir_option(function: F) -> F:
    """Add `--state-dir` and `--sample`. Their values are for `session_of`; the command gets the last one."""

    def remember(ctx: click.Context, _: click.Parameter, paths: tuple[str, ...]) -> str | None:
        ctx.meta[_STATE_DIRS] = [*ctx.meta.get(_STATE_DIRS, ()), *paths]  # shared with the parent context
        return paths[-1] if paths else None

    def remember_sample(ctx: click.Context, _: click.Parameter, sample: bool) -> None:
        if sample:
            ctx.meta[_SAMPLE] = True

    function = click.option(
        "--sample",
        is_flag=True,
        expose_value=False,
        callback=remember_sample,
        help="Ask the sample ledger, which comes with eni-ledger, in place of --state-dir.",
    )(function)
    return click.option(
        "--state-dir",
        metavar="DIR",
        type=click.Path(readable=False),
        multiple=True,
        callback=remember,
        help="The state directory; may be repeated, a pattern such as '/mnt/copies/*', or a single segment. Default: "
        "ENI_LEDGER_STATE_DIR, else stateDir of the configuration file, else /var/lib/eni-ledger.",
    )(function)


def colour_option(function: F) -> F:
    """Add `--no-color`."""
    return click.option("--no-color", is_flag=True, help="Print without colour, as with NO_COLOR set.")(function)


def pager_option(function: F) -> F:
    """Add `--no-pager`; without it `Command` pages what the command prints. The command does not get it."""

    def remember(ctx: click.Context, _: click.Parameter, no_pager: bool) -> None:
        if ctx.parent is None:  # before the command's name
            ctx.meta[_NO_PAGER] = no_pager
        else:
            ctx.meta[_PAGED] = not (no_pager or ctx.meta.get(_NO_PAGER))

    return click.option(
        "--no-pager",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Do not page what is longer than the terminal. The pager: ENI_LEDGER_PAGER, else PAGER, else less.",
    )(function)


def zone_option(function: F) -> F:
    """Add `--tz`. Its value is for `session_of`, the command does not get it."""

    def remember(ctx: click.Context, _: click.Parameter, tz: str | None) -> None:
        if tz is not None:
            ctx.meta[_ZONE] = tz  # shared with the context of the command

    return click.option(
        "--tz",
        metavar="ZONE",
        shell_complete=zone_names,
        expose_value=False,
        callback=remember,
        help="Read and show times in this zone: local, UTC, Europe/Berlin, CET, +01:00. Default: ENI_LEDGER_TZ, else "
        "UTC. JSON is always in UTC.",
    )(function)


def reading(function: F) -> F:
    """Add `--state-dir`, `--tz` and `--no-color`, the options of every command that reads a ledger."""
    return state_dir_option(zone_option(colour_option(function)))


def print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version and exit: the callback of `--version`."""
    if wanted and not ctx.resilient_parsing:
        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()
