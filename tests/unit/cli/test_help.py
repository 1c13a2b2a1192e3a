"""Nothing is undocumented: every command, option and example is held to that here."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from eni_ledger.base.version import __version__
from eni_ledger.cli.main import COMMANDS, load
from eni_ledger.cli.options import Command
from helpers.ledgers import add_event, record
from helpers.prereq import need

if TYPE_CHECKING:
    from unit.cli.conftest import Ledger, Run


def command_of(name: str) -> Command:
    found = load(name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COMMANDS)
class TestEveryCommand:
    def test_has_help_a_summary_and_examples(self, name: str) -> None:
        command = command_of(name)
        assert command.help
        assert command.short_help
        assert len(command.short_help) < 60
        assert len(command.examples) >= 2

    def test_has_help_for_every_option(self, name: str) -> None:
        for param in command_of(name).params:
            if isinstance(param, click.Option):
                assert param.help, param.opts
                assert param.help.endswith((".", "...")), param.help

    def test_explains_its_arguments(self, name: str) -> None:
        command = command_of(name)
        for param in command.params:
            if isinstance(param, click.Argument):
                metavar = param.metavar or str(param.human_readable_name).upper()
                known = metavar in str(command.help) or isinstance(param.type, click.Choice)
                assert known, f"{metavar} is not in the help of {name}"

    def test_examples_are_command_lines_of_that_command(self, name: str) -> None:
        command = command_of(name)
        for line, words in command.examples:
            assert words
            commands = re.split(r"\s(?:[|<>]|&&)\s", line)
            program, called, *args = shlex.split(next(each for each in commands if each.startswith("eni-ledger")))
            assert (program, called) == ("eni-ledger", name)
            with command.make_context(name, args):  # raises when an option is none
                pass

    def test_help_fits_80_columns(self, name: str, run: Run) -> None:
        done = run(name, "-h", env={"COLUMNS": "80"})
        assert done.code == 0
        assert "Examples:" in done.out
        assert max(map(len, done.out.splitlines())) <= 82, done.out
        assert run(name, "--help").out == done.out


def test_the_overview_names_every_command_and_the_exit_codes(run: Run) -> None:
    done = run("--help")
    assert done.code == 0
    for name in COMMANDS:
        assert re.search(f"\n  {name}\\s", done.out)
    assert "Exit status: 0 done; 1 nothing found" in done.out
    assert "..." not in done.out.split("Commands:")[1].split("Examples:")[0].replace("ENI ...", "")
    assert run().out == done.out
    assert run().code == 0


def test_version_is_said_everywhere_the_same(run: Run) -> None:
    assert run("--version").out == f"eni-ledger {__version__}\n"
    assert run("version").out.startswith(f"eni-ledger {__version__} (ledger format 1; Python 3.")
    about = run("version", "--json").json()
    assert about["version"] == __version__
    assert about["bundle"] is False


def test_options_for_all_commands_may_stand_before_the_command(run: Run, tmp_path: Path) -> None:
    first, second = str(tmp_path / "one"), tmp_path / "two"
    assert f"{first} does not exist" in run("--state-dir", first, "list").err
    assert f"{first} does not exist" in run("list", "--state-dir", first).err
    record(second, add_event(1))
    done = run("--state-dir", first, "list", "--state-dir", str(second))
    assert (done.code, f"{add_event(1)['eni_id']}" in done.out) == (3, True)
    assert f"{first} does not exist" in done.err


@pytest.mark.parametrize("kind", ["event", "state", "config"])
def test_schema_prints_a_json_schema(run: Run, kind: str) -> None:
    done = run("schema", kind)
    assert done.code == 0
    assert json.loads(done.out)["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_one_that_the_shell_can_read(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert done.code == 0
    assert "_ENI_LEDGER_COMPLETE" in done.out
    if shell == "bash":
        program = shutil.which("bash")
        need(program, "bash")
        assert program
        subprocess.run([program, "-n"], input=done.out, text=True, check=True)


def test_completion_completes_commands_and_options(run: Run) -> None:
    bash = {"_ENI_LEDGER_COMPLETE": "bash_complete"}
    done = run(env={**bash, "COMP_WORDS": "eni-ledger l", "COMP_CWORD": "1"})
    assert done.out.split() == ["plain,list", "plain,log"]
    done = run(env={**bash, "COMP_WORDS": "eni-ledger who --a", "COMP_CWORD": "2"})
    assert done.out.split() == ["plain,--at"]


def complete(run: Run, line: str) -> list[str]:
    words = line.split(" ")
    env = {"_ENI_LEDGER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return run(env=env).out.split()


def test_help_is_that_of_the_command(run: Run) -> None:
    assert run("help").out == run("--help").out
    for name in COMMANDS:
        assert run("help", name).out == run(name, "--help").out, name
    done = run("help", "whom")
    assert (done.code, done.out) == (2, "")
    assert "there is no such command: 'whom'" in done.err


def test_completion_of_values(run: Run) -> None:
    assert complete(run, "eni-ledger identify --source agent-db,do") == ["plain,agent-db,docker"]
    assert complete(run, "eni-ledger identify --source agent-db,agent") == []
    assert complete(run, "eni-ledger help comp") == ["plain,completion"]


def test_manual_pages_say_what_the_help_says(run: Run, tmp_path: Path) -> None:
    need(shutil.which("mandoc"), "mandoc")
    script = Path(__file__).parents[3] / "build/package.d/manpages.py"
    epoch = {**os.environ, "SOURCE_DATE_EPOCH": "1763600000"}
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True, env=epoch)
    pages = sorted(tmp_path.iterdir())
    assert {page.name for page in pages} == {"eni-ledger.1", *(f"eni-ledger-{name}.1" for name in COMMANDS)}
    linted = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True, check=False
    )
    assert (linted.returncode, linted.stdout) == (0, "")
    for name in COMMANDS:
        shown = subprocess.run(
            ["mandoc", "-T", "ascii", tmp_path / f"eni-ledger-{name}.1"], capture_output=True, text=True, check=True
        ).stdout
        words = " ".join(re.sub(".\b", "", shown).split())
        command = command_of(name)
        for example, purpose in command.examples:
            assert " ".join(example.split()) in words
            assert " ".join(purpose.split()) in words.replace("- ", "-")
        for option in [param for param in command.params if isinstance(param, click.Option)]:
            assert max(option.opts, key=len) in words
        assert "2025-11-20" in words  # the date of SOURCE_DATE_EPOCH


def test_completion_offers_what_is_live_and_is_silent_without_a_ledger(run: Run, filled: Ledger) -> None:
    first = run("list", "--json").json()["associations"][0]["association_id"]
    assert complete(run, "eni-ledger who 10.") == ["plain,10.0.32.4", "plain,10.0.32.5"]
    assert complete(run, "eni-ledger who eni-") == ["plain,eni-0123456789abcdef0"]
    assert len(complete(run, "eni-ledger show assoc-")) == 2
    assert f"plain,{first[6:14]}" in complete(run, f"eni-ledger show {first[6:8]}")
    shutil.rmtree(filled.path)
    assert complete(run, "eni-ledger who 10.") == []
    assert complete(run, f"eni-ledger --state-dir {filled.path} who 10.") == []


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("eni-ledger import /var/log/", "file,"),
        ("eni-ledger install cni --conflist /etc/", "file,"),
        ("eni-ledger list --state-dir /var/", "file,"),
    ],
)
def test_completion_leaves_files_to_the_shell(run: Run, line: str, kind: str) -> None:
    assert complete(run, line)[0].startswith(kind)


def test_a_reading_command_loads_neither_rich_nor_pydantic_in_a_pipe(tmp_path: Path) -> None:
    code = (
        "import sys; from eni_ledger.cli.main import main; main(sys.argv[1:]);"
        "print([name for name in ('rich', 'pydantic', 'pyroute2', 'asyncio', 'subprocess') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "list", "--state-dir", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
