"""`eni-ledger`: finds the command, runs it, and turns what went wrong into a message and an exit code.

Exit codes: 0 done; 1 nothing found, or `fsck`, `verify`, `identify` or `doctor` found what should not be; 2 the command
line cannot be understood; 3 the ledger cannot be read, or only in part; 130 interrupted; 141 the reader of the output
has gone (as SIGPIPE would say).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from eni_ledger.base.errors import EniLedgerError, NotFound, UsageError
from eni_ledger.cli.options import (
    COMPLETE_VAR,
    CONTEXT_SETTINGS,
    Command,
    Defaults,
    Parsed,
    WrongOption,
    colour_option,
    near,
    pager_option,
    print_version,
    state_dir_option,
    zone_option,
)
from eni_ledger.cli.session import PROGRAM, tell

COMMANDS = {
    "list": "eni_ledger.cli.commands.list",
    "who": "eni_ledger.cli.commands.who",
    "show": "eni_ledger.cli.commands.show",
    "log": "eni_ledger.cli.commands.log",
    "topology": "eni_ledger.cli.commands.topology",
    "report": "eni_ledger.cli.commands.report",
    "annotate": "eni_ledger.cli.commands.annotate",
    "names": "eni_ledger.cli.commands.names",
    "scan": "eni_ledger.cli.commands.scan",
    "capture": "eni_ledger.cli.commands.capture",
    "enter": "eni_ledger.cli.commands.enter",
    "export": "eni_ledger.cli.commands.export",
    "describe-trunk-interface-associations": "eni_ledger.cli.commands.describe_trunk_interface_associations",
    "serve": "eni_ledger.cli.commands.serve",
    "fsck": "eni_ledger.cli.commands.fsck",
    "prune": "eni_ledger.cli.commands.prune",
    "verify": "eni_ledger.cli.commands.verify",
    "identify": "eni_ledger.cli.commands.identify",
    "import": "eni_ledger.cli.commands.import_",
    "doctor": "eni_ledger.cli.commands.doctor",
    "install": "eni_ledger.cli.commands.install",
    "uninstall": "eni_ledger.cli.commands.uninstall",
    "schema": "eni_ledger.cli.commands.schema",
    "version": "eni_ledger.cli.commands.version",
    "completion": "eni_ledger.cli.commands.completion",
    "help": "eni_ledger.cli.commands.help",
}
"""Command and its module, in the order in which people need them. The bundle takes in all of the package."""
FOUND_NOTHING, USAGE, FAILED, INTERRUPTED, PIPE_CLOSED = 1, 2, 3, 130, 141

EPILOG = """\b
Examples:
  eni-ledger list
  eni-ledger who 10.0.32.4 --at 'tuesday 03:12'
  eni-ledger log --since -15m --json | jq .

\b
Environment:
  ENI_LEDGER_STATE_DIR  the state directory, when --state-dir is not given
  ENI_LEDGER_CONFIG     the configuration file (/etc/eni-ledger/config.json)
  ENI_LEDGER_TZ         the time zone, when --tz is not given: local, Europe/Berlin ...
  ENI_LEDGER_PAGER      the pager on terminals, else PAGER, else less; empty for none
  NO_COLOR              no colour on terminals

\b
Exit status: 0 done; 1 nothing found, or fsck, prune, verify, identify or doctor
found what is not as it should be; 2 usage; 3 the ledger cannot be read, or only in part.
"""


class Commands(Parsed, click.Group):
    """The group of all commands; a command's module is imported when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order in which people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command of that name, or None."""
        return load(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return name, command and the rest; raise UsageError with the nearest name for an unknown one."""
        name = args[0]
        if name not in COMMANDS and not ctx.resilient_parsing and not name.startswith("-"):
            from difflib import get_close_matches  # needed only after a wrong command

            near = get_close_matches(name, COMMANDS, 1) or get_close_matches(name.lower(), COMMANDS, 1)
            hint = f"{PROGRAM} who {name}" if _is_sought(name) else f"{PROGRAM} {near[0] if near else '--help'}"
            raise UsageError("there is no such command", f"'{name:.60}'", hint)
        return super().resolve_command(ctx, args)


def _is_sought(text: str) -> bool:
    """Tell whether `text` is an address, a number or an ID that `who` would look for, and no mere name."""
    from eni_ledger.ledger.read.terms import Query  # needed only after a wrong command

    try:
        return Query(text).kind != "name"
    except UsageError:
        return False


def load(name: str) -> Command | None:
    """Return the command `name`, None when there is none; its module is imported now."""
    if name not in COMMANDS:
        return None
    module = importlib.import_module(COMMANDS[name])
    command: Command = module.command
    return command


@click.group(
    cls=Commands,
    epilog=EPILOG,
    context_settings=CONTEXT_SETTINGS,
    invoke_without_command=True,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Print the version.",
)
@state_dir_option
@zone_option
@colour_option
@pager_option
@click.pass_context
def cli(ctx: click.Context, state_dir: str | None, no_color: bool) -> None:  # noqa: ARG001 - `session_of` has it
    """Who had this VLAN, IP or branch ENI, and when.

    eni-ledger writes down every branch ENI, VLAN ID and network namespace at the moment they are joined.
    list, who, show, log and fsck read that ledger; they take no lock and change nothing. identify and import add
    to it what they find, verify when it is asked to; prune packs what is old. install and uninstall change what
    the container runtime calls. Most need root, because the ledger does.
    """
    ctx.obj = Defaults(no_color)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: that of the process) and return the exit code."""
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        # An odd locale costs a few escapes, never a UnicodeEncodeError.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(argv)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        return _reader_has_gone()
    except OSError as exc:
        _discard_stdout()  # or the interpreter fails on it once more at exit
        hint = "read the ledger as root" if isinstance(exc, PermissionError) else ""
        return _fail(EniLedgerError(exc.strerror or "the system refused", str(exc.filename or ""), hint), FAILED)
    return code


def _run(argv: Sequence[str] | None) -> int:
    """Run the command and return its exit code; every error on purpose has been printed."""
    args = list(sys.argv[1:] if argv is None else argv)
    if COMPLETE_VAR in os.environ:
        from eni_ledger.cli.shells import complete  # start-up: no command needs it

        return complete(cli, PROGRAM, COMPLETE_VAR, os.environ[COMPLETE_VAR])
    try:
        # Not cli.main(): it answers a closed pipe with exit code 1, which here means "nothing found".
        with cli.make_context(PROGRAM, args) as ctx:
            return int(cli.invoke(ctx) or 0)
    except (KeyboardInterrupt, click.exceptions.Abort):
        return INTERRUPTED
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as exc:
        where = getattr(exc, "ctx", None)
        path = where.command_path if where else PROGRAM
        words = " ".join(exc.format_message().split()).rstrip(".")
        if hint := _behind_command(exc, args):
            words = words.partition(".")[0] + " before the command"
        status = where.command.usage_status if where and isinstance(where.command, Parsed) else USAGE
        return _fail(UsageError(words[:1].lower() + words[1:], hint=hint or f"{path} --help"), status)
    except UsageError as exc:
        return _fail(exc, exc.status or USAGE)
    except NotFound as exc:
        return _fail(exc, exc.status or FOUND_NOTHING)
    except EniLedgerError as exc:
        return _fail(exc, exc.status or FAILED)


def _behind_command(exc: click.ClickException, args: Sequence[str]) -> str:
    """Return the hint for an option, or for one like it, that stands before its command; empty when it is no such."""
    if not isinstance(exc, WrongOption) or exc.meant or exc.ctx is None or exc.ctx.parent is not None:
        return ""
    name = next((arg for arg in args if arg in COMMANDS), "")
    found = load(name)
    if found is None:
        return ""
    known = any(exc.option_name in param.opts for param in found.params)
    meant = [exc.option_name] if known else near(exc.option_name, args, found.params)
    return f"{PROGRAM} {name} ... {meant[0]}" if meant else ""


def _fail(exc: EniLedgerError, code: int) -> int:
    tell(exc)
    return code


def _reader_has_gone() -> int:
    _discard_stdout()
    return PIPE_CLOSED


def _discard_stdout() -> None:
    """Send what is still buffered nowhere, so that flushing it at exit does not fail again."""
    if sys.stdout is None:
        return
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        sys.stdout = None  # no descriptor behind it: leave nothing to flush
