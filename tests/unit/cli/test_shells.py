"""A command line as bash hands it over, and what readline has to insert. In a real bash: tests/frozen."""

from __future__ import annotations

import pytest

from eni_ledger.cli.main import COMMANDS, load
from eni_ledger.cli.shells import Typed
from eni_ledger.cli.words import CompletedText

BREAKS = " \t\n\"'@><=;|&(:"  # bash's own COMP_WORDBREAKS


@pytest.mark.parametrize(
    ("line", "words", "last", "value", "replacement"),
    [
        ("p who ", ["p", "who"], "", "10.0.0.1", "10.0.0.1"),
        ("p who vlan:1", ["p", "who"], "vlan:1", "vlan:102", "102"),
        ("p who 'vlan:1", ["p", "who"], "vlan:1", "vlan:102", "vlan:102"),
        ("p who vlan\\:1", ["p", "who"], "vlan:1", "vlan:102", "vlan:102"),
        ("p --at=03:1", ["p"], "--at=03:1", "03:12", "12"),
        ("p --at 'last ni", ["p", "--at"], "last ni", "last night 03:12", "last night 03:12"),
        ("p --at last\\ ni", ["p", "--at"], "last ni", "last night 03:12", "last\\ night\\ 03:12"),
        ('p "a b" c"$', ["p", "a b"], "c$", "c$d", "\\$d"),
        ("p '' x", ["p", ""], "x", "x*y", "x\\*y"),
    ],
)
def test_a_line_and_what_is_inserted(line: str, words: list[str], last: str, value: str, replacement: str) -> None:
    typed = Typed(line, BREAKS)
    assert (typed.words, typed.last) == (words, last)
    assert typed.replacement(value) == replacement


def test_every_option_that_takes_a_time_completes_times() -> None:
    for name in COMMANDS:
        command = load(name)
        assert command
        times = [param for param in command.params if param.metavar in ("TIME", "DAY")]
        assert all(isinstance(param.type, CompletedText) for param in times), name
