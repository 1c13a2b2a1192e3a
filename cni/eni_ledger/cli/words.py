"""Shell completion of words that need no ledger: times, time zones, lists of fixed words."""

from __future__ import annotations

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]

TIMES = {
    "now": "",
    "today": "midnight, UTC unless --tz",
    "yesterday": "its first moment",
    "-15m": "a quarter of an hour ago",
    "-1h": "an hour ago",
    "-1d": "a day ago",
    "03:12": "the latest that is past",
    "noon": "",
    "midnight": "",
    "last night 03:12": "",
    "monday": "the latest that is past",
}


class CompletedText(click.types.StringParamType):
    """The type of a text for which a completer offers values."""

    def __init__(self, complete: Completer) -> None:
        self._complete = complete

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Return what the completer offers."""
        return self._complete(ctx, param, incomplete)


def times(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return words for times that start with `incomplete`."""
    return [CompletionItem(word, help=what) for word, what in TIMES.items() if word.startswith(incomplete)]


def zone_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the time zones that start with `incomplete`, in any case; without any text only the words for zones."""
    from zoneinfo import available_timezones  # start-up: it reads the host's directory of zones

    names = ["local", "UTC", *(sorted(available_timezones() - {"UTC"}) if incomplete else ())]
    return [CompletionItem(name) for name in names if name.lower().startswith(incomplete.lower())]


def listed(*words: str) -> Completer:
    """Return the completer of a list of `words` with commas."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        return comma_list(words, incomplete)

    return complete


def comma_list(words: tuple[str, ...], incomplete: str) -> list[CompletionItem[str]]:
    """Return the lists that begin as `incomplete` does and end with one more of `words`."""
    before, comma, last = incomplete.rpartition(",")
    used = before.split(",")
    return [CompletionItem(before + comma + word) for word in words if word.startswith(last) and word not in used]


def one_of(*words: str) -> Completer:
    """Return the completer of one of `words`."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]

    return complete
