"""Completion of values as a person has it: a line and a TAB in an interactive bash, with the script of the bundle."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGIN, END = b"\x02[", b"]\x03"
SET_UP = r"""
bind 'set enable-bracketed-paste off'
bind 'set bell-style none'
bind 'set completion-ignore-case off'
bind '"\C-o": insert-completions'
bind -x '"\C-g": printf "\x02[%s]\x03" "$READLINE_LINE"'
PS1= PS2=
"""


class Bash:
    """An interactive bash on a terminal; `line` types and returns what the command line has become."""

    def __init__(self, bundle: Path, home: Path) -> None:
        program = shutil.which("bash")
        need(program, "bash")
        script = subprocess.run(
            [bundle / "eni-ledger", "completion", "bash"], capture_output=True, text=True, check=True
        ).stdout
        startup = home / "bashrc"
        startup.write_text(SET_UP + script)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 1000, 0, 0))
        path = f"{bundle}:{os.environ['PATH']}"
        self.process = subprocess.Popen(
            [program or "", "--noprofile", "--rcfile", str(startup), "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            cwd=home,
            env={"PATH": path, "HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8", "HISTFILE": ""},
        )
        os.close(theirs)
        self.terminal = ours

    def line(self, typed: str, key: str = "\t") -> str:
        os.write(self.terminal, f"\x15{typed}{key}\x07".encode())  # ^U first: an empty line
        seen = b""
        while END not in seen:
            seen += os.read(self.terminal, 65536)
        return seen.partition(BEGIN)[2].partition(END)[0].decode()

    def every(self, typed: str) -> list[str]:
        """Return all completions of the last word."""
        return self.line(typed, "\x0f").removeprefix(typed.rpartition(" ")[0]).split()

    def close(self) -> None:
        os.close(self.terminal)
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def bash(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bash]:
    shell = Bash(bundle, tmp_path_factory.mktemp("home"))
    yield shell
    shell.close()


@pytest.fixture(scope="module")
def sample(bundle: Path) -> list[dict[str, str]]:
    """Return the live associations of the sample."""
    asked: list[str | Path] = [bundle / "eni-ledger", "list", "--sample", "--json"]
    answer = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    return list(answer["associations"])


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("list --at yes", "list --at yesterday "),
        ("list --at=03", "list --at=03:12 "),
        ("list --at 03:", "list --at 03:12 "),
        ("list --at last", "list --at last\\ night\\ 03:12 "),
        ("list --at 'last n", "list --at 'last night 03:12' "),
        ('list --at "last n', 'list --at "last night 03:12" '),
        ("log --since -15", "log --since -15m "),
        ("log --since -1d --until tod", "log --since -1d --until today "),
        ("export --since mid", "export --since midnight "),
        ("names names --until noo", "names names --until noon "),
        ("annotate --date yes", "annotate --date yesterday "),
        ("--tz Europe/Berl", "--tz Europe/Berlin "),
        ("who 1 --tz lo", "who 1 --tz local"),  # and localtime
        ("who 1 --tz europe/berl", "who 1 --tz Europe/Berlin "),
        ("list --sample --family ap", "list --sample --family api "),
        ("topology --sample --family ap", "topology --sample --family api "),
        ("who 1 --sample --service wor", "who 1 --sample --service worker "),
        ("log --sample --cluster st", "log --sample --cluster staging "),
        ("list --sample --trunk enp40", "list --sample --trunk enp40s0 "),
        ("log --event ch", "log --event checkpoint "),
        ("list --via inte", "list --via interposed "),
        ("list --columns netns_i", "list --columns netns_inode "),
        ("list --columns vlan_id,netns_i", "list --columns vlan_id,netns_inode "),
        ("log --columns ts,ev", "log --columns ts,event "),
        ("list --sort -sin", "list --sort -since "),
        ("list --sort task_f", "list --sort task_family "),
        ("list --group-by serv", "list --group-by service "),
        ("identify --source agent-db,do", "identify --source agent-db,docker "),
        ("who --sample family:ap", "who --sample family:api "),
        ("who --sample 'family:ap", "who --sample 'family:api' "),
        ("who --sample serv", "who --sample service:"),
        ("who --sample api:1", "who --sample api:18"),
        ("who --sample ip:10.0.", "who --sample ip:10.0.32."),
        ("capture nobody --pri", "capture nobody --print "),
    ],
)
def test_a_value_is_completed_by_a_tab(bash: Bash, typed: str, completed: str) -> None:
    assert bash.line(f"eni-ledger {typed}") == f"eni-ledger {completed}"


def test_what_is_live_is_completed(bash: Bash, sample: list[dict[str, str]]) -> None:
    one = next(each for each in sample if each["task_family"] == "search")
    task = one["task_arn"].rpartition("/")[2]
    for option, value in (("--task", task), ("--task", one["task_arn"]), ("--vlan", str(one["vlan_id"]))):
        assert value in bash.every(f"eni-ledger list --sample {option} {value[:3]}"), option
    whats = (
        task,
        one["branch_mac"],
        one["eni_id"],
        one["container_id"],
        f"search:2/{task[:8]}",
        f"vlan:{one['vlan_id']}",
    )
    for what in whats:
        assert bash.line(f"eni-ledger who --sample {what[:-1]}").startswith(f"eni-ledger who --sample {what[:-1]}")
        assert bash.line(f"eni-ledger who --sample {what}") == f"eni-ledger who --sample {what} "
    assert {"api", "search", "worker"} <= set(bash.every("eni-ledger list --sample --family "))
    assert {"prod", "staging"} == set(bash.every("eni-ledger list --sample --cluster "))


def test_words_are_offered_where_nothing_is_typed(bash: Bash) -> None:
    assert {"now", "yesterday", "-15m", "noon"} <= set(bash.every("eni-ledger list --at "))
    assert {"local", "UTC"} == set(bash.every("eni-ledger list --tz "))
    assert {"since", "-since", "addresses"} <= set(bash.every("eni-ledger list --sort "))
    assert "add_failed" in bash.every("eni-ledger log --event ")
