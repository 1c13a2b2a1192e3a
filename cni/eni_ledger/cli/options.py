"""What the commands share on their command lines: options, help with examples, `--version`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from eni_ledger.base.errors import LedgerDamaged, UsageError
from eni_ledger.cli.session import PROGRAM, Session, full_path

COMPLETE_VAR = "_ENI_LEDGER_COMPLETE"
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"]}
_PATHS = ("FILE", "FILE...", "DIR")
_TYPED = "eni_ledger.typed"
_LIKE = 0.7  # of difflib; with less --since is like --json
F = TypeVar("F", bound=Callable[..., Any])


class Defaults:
    """What was said before the name of the command: options that hold for all of them."""

    def __init__(self, state_dir: str | None = None, no_color: bool = False) -> None:
        self.state_dir = state_dir
        self.no_color = no_color


def session_of(ctx: click.Context, state_dir: str | None, no_color: bool) -> Session:
    """Return the session of a command with these options, or with those that were said before its name."""
    defaults = ctx.find_object(Defaults) or Defaults()
    state_dir = state_dir if state_dir is not None else defaults.state_dir
    return Session(state_dir, no_color=no_color or defaults.no_color)


class WrongOption(click.NoSuchOption):
    """An option that the command does not have; `meant` are those of its own that may have been meant."""

    def __init__(self, name: str, meant: list[str], ctx: click.Context) -> None:
        super().__init__(name, f"No such option {name!r}.", ctx=ctx)
        self.meant = meant

    def format_message(self) -> str:
        """Return the sentence, and the question whether another one was meant."""
        question = f" Did you mean {' or '.join(map(repr, self.meant))}?" if self.meant else ""
        return self.message + question


class Parsed(click.Command):
    """A command, or a group of them, that takes each of its options once and knows what a wrong one may have meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse. An error that click raises without it learns whose command line it was.

        Raises UsageError for an option that is there twice, before the command's name and behind it included.
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
        typed = ctx.meta.setdefault(_TYPED, set())  # of those before the command's name, too
        for param in order:
            if isinstance(param, click.Option) and not param.multiple:
                if param.name in typed:
                    hint = f"{ctx.command_path} --help"
                    raise UsageError("this option is there twice", max(param.opts, key=len), hint)
                typed.add(param.name)


def near(name: str, args: Iterable[str], params: Iterable[click.Parameter]) -> list[str]:
    """Return those of the options `params` that a wrong one may have meant: those it begins, else those like it."""
    from difflib import get_close_matches

    known = {opt.lstrip("-"): opt for param in params for opt in param.opts if opt.startswith("--")}
    if not name.startswith("--"):  # -json is to click a -j
        name = next((arg for arg in args if arg.startswith(name) and len(arg) > len(name)), name)
    word = name.lstrip("-").partition("=")[0].lower()
    begun = [each for each in known if len(word) > 1 and each.startswith(word)]
    return [known[each] for each in begun or get_close_matches(word, known, 1, _LIKE)]


class Command(Parsed):
    """A command whose help ends with examples, each a full command line with a few words on it."""

    def __init__(self, *args: Any, examples: list[tuple[str, str]], **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", CONTEXT_SETTINGS)
        super().__init__(*args, **kwargs)
        self.examples = examples
        for param in self.params:  # so that shells complete them; what is wrong with one is said better elsewhere
            if param.metavar in _PATHS and param.type is click.STRING:
                param.type = click.Path(readable=False)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; where a value of the ledger made it fail that no eni-ledger writes, say which."""
        try:
            return super().invoke(ctx)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            if not any(param.name == "state_dir" for param in self.params):
                raise
            from eni_ledger.ledger.check.malformed import find

            strange = find(session_of(ctx, ctx.params["state_dir"], no_color=True).state_dir())
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


@contextmanager
def located(state_dir: str) -> Iterator[None]:
    """Give damage that is reported by file name the whole path."""
    try:
        yield
    except LedgerDamaged as exc:
        raise full_path(exc, state_dir) from exc


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
        from eni_ledger.base.version import __version__

        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()
