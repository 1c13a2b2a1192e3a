"""Completion in bash, zsh and fish: what click's leaves out.

Values may begin with a hyphen (`--since -15m`). In bash a word breaks at each of COMP_WORDBREAKS, colons among them,
and a value with blanks has to be quoted: so the script hands over the line, which is split here, and gets back what
readline has to insert.
"""

from __future__ import annotations

import os
from typing import ClassVar

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

_BASH = """\
%(complete_func)s() {
    local response type value
    response=$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain) COMPREPLY+=("$value") ;;
        esac
    done <<<"$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""  # bash 4.4 and later have nosort
_PLAIN = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.,:/@%+=-")
_SPECIAL_IN_QUOTES = frozenset('"\\$`')


class _WithHyphens(ShellComplete):
    """Completes values that begin with a hyphen behind an option that takes one."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """Return what starts with `incomplete` behind `args`."""
        if incomplete.startswith("-") and args and args[-1].startswith("-"):
            values = super().get_completions(args, "")
            if found := [item for item in values if item.value.startswith(incomplete)]:
                return found
        return super().get_completions(args, incomplete)


class _Bash(_WithHyphens, BashComplete):
    source_template: ClassVar[str] = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the last one of the line, without the program, and the last one."""
        if "COMP_LINE" not in os.environ:  # a script that click made, of an earlier version
            self.typed = Typed("", "")
            return super().get_completion_args()
        self.typed = Typed(os.environ["COMP_LINE"], os.environ.get("COMP_WORDBREAKS", ""))
        return self.typed.words[1:], self.typed.last

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Return a line for the script: the type, and what replaces the part of the word that readline is at."""
        text = item.value if item.type != "plain" else self.typed.replacement(item.value)
        return f"{item.type},{text}"


class _Zsh(_WithHyphens, ZshComplete):
    pass


class _Fish(_WithHyphens, FishComplete):
    pass


SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


class Typed:
    """A command line up to the cursor: its `words`, unquoted, and the `last` one, which is being typed.

    `quote` is the quotation mark that is open in the last word, or empty; `kept` is how much of it stands before what
    readline replaces: it goes up to an open quotation mark, and to the last of `breaks` that is not quoted.
    """

    def __init__(self, line: str, breaks: str) -> None:
        self.words: list[str] = []
        self.last = self.quote = ""
        self.kept = 0
        self._begun = False
        characters = iter(line)
        for character in characters:
            if character == "\\" and self.quote != "'":
                self._add(next(characters, ""))
            elif character == self.quote:
                self.quote = ""
            elif self.quote:
                self._add(character)
            elif character in "'\"":
                self._add("")
                self.quote, self.kept = character, len(self.last)
            elif character.isspace():
                self._end_word()
            else:
                self._add(character)
                if character in breaks:
                    self.kept = len(self.last)

    def _add(self, text: str) -> None:
        self.last += text
        self._begun = True

    def _end_word(self) -> None:
        if self._begun:
            self.words.append(self.last)
        self.last, self.kept, self._begun = "", 0, False

    def replacement(self, value: str) -> str:
        """Return what is to be inserted for a value of the last word, quoted where it has to be."""
        option, is_set, _ = self.last.partition("=")
        word = f"{option}={value}" if is_set and option.startswith("--") else value
        text = word[self.kept :]
        if self.quote == "'":
            return text
        if self.quote:
            return "".join(f"\\{each}" if each in _SPECIAL_IN_QUOTES else each for each in text)
        return "".join(each if each in _PLAIN else f"\\{each}" for each in text)


def script(shell: str, command: click.Command, program: str, variable: str) -> str:
    """Return what makes one of SHELLS complete the command lines of `program`."""
    # ShellComplete's own source(): that of bash runs bash to check its version, but the script may be meant for
    # another machine.
    return ShellComplete.source(SHELLS[shell](command, {}, program, variable))


def complete(command: click.Command, program: str, variable: str, instruction: str) -> int:
    """Print what completes the line that the shell hands over in the environment; return the exit status.

    `instruction` is the value of the environment's `variable`, such as ``bash_complete``.
    """
    shell, _, what = instruction.partition("_")
    if shell not in SHELLS or what not in ("complete", "source"):
        return 1
    if what == "source":
        click.echo(script(shell, command, program, variable), nl=False)
    else:
        click.echo(SHELLS[shell](command, {}, program, variable).complete())
    return 0
