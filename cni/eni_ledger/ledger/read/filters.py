"""Filters of `list`, `who` and `log`: conditions on fields, all of which have to hold.

A condition has patterns, one of which has to fit; `*` in a pattern stands for any text.
"""

from __future__ import annotations

from eni_ledger.ledger.archive import index, index_keys
from eni_ledger.ledger.read import spelling
from eni_ledger.ledger.read.filter_fields import FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eni_ledger.base.events import Fields


_OF_EVENTS = ("event", "via")
"""Conditions on an event itself; the others are on the association that it is about."""
_NARROWEST = ("task", "vlan", "family", "service", "trunk", "cluster", "via")
_PLAIN = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-:/")


class Filters:
    """Patterns by option, see `FIELDS`; with `mismatch` only records in which the kernel shows another value.

    False when there is no condition.
    """

    def __init__(self, patterns: Mapping[str, Iterable[str]] | None = None, *, mismatch: bool = False) -> None:
        self.patterns = {name: tuple(given) for name, given in (patterns or {}).items() if given}
        self.mismatch = mismatch

    def __bool__(self) -> bool:
        return bool(self.patterns) or self.mismatch

    def matches(self, record: Fields) -> bool:
        """Tell whether every condition holds for an association or an event.

        An association has the events that began and ended it.
        """
        return (not self.mismatch or bool(record.get("mismatch"))) and all(
            _holds(record, name, given) for name, given in self.patterns.items()
        )

    def of_associations(self) -> Filters:
        """Return the conditions on the association that an event is about."""
        return Filters({name: given for name, given in self.patterns.items() if name not in _OF_EVENTS})

    def of_events(self) -> Filters:
        """Return the conditions on an event itself."""
        named = {name: self.patterns[name] for name in _OF_EVENTS if name in self.patterns}
        return Filters(named, mismatch=self.mismatch)

    def narrowest(self) -> Condition | None:
        """Return the condition by which the fewest associations have to be looked at; None for none."""
        for name in _NARROWEST:
            if name in self.patterns:
                return Condition(name, self.patterns[name])
        return Condition("mismatch", ()) if self.mismatch else None


class Condition:
    """One condition, as something to look for (`queries.Sought`)."""

    in_add = False

    def __init__(self, name: str, patterns: tuple[str, ...]) -> None:
        self._name = name
        self._patterns = patterns

    def may_match(self, event: Fields) -> bool:
        """Tell whether the condition holds for the association that an event tells of, by what it tells."""
        if self._name == "mismatch":
            return bool(event.get("mismatch"))
        return _holds(event, self._name, self._patterns)

    def ranges(self, version: int = index.VERSION) -> list[index_keys.Range] | None:
        """Return the ranges of keys of an index of that version that find what fits; None if none do."""
        if self._name not in ("task", "vlan") and version < index.VERSION:
            return None
        found: list[index_keys.Range] = []
        for pattern in self._patterns:
            ranges = self._ranges(pattern)
            if ranges is None:
                return None
            found += ranges
        return found or None

    def _ranges(self, pattern: str) -> list[index_keys.Range] | None:
        start, star, _ = pattern.partition("*")
        if self._name == "task":
            whole = start.startswith("arn:")
            return None if not start or (star and whole) else [index_keys.name(index_keys.task_id(start))]
        if self._name == "vlan":
            return None if star else [index_keys.exact("number", pattern)]
        if self._name not in ("family", "service", "cluster", "trunk"):
            return None
        if star:
            return [index_keys.name(start)] if start and self._name != "trunk" else None
        named = [index_keys.whole_name(pattern)]
        if self._name == "trunk":
            mac = spelling.mac_of(pattern) or pattern
            named += [index_keys.exact("mac", mac), index_keys.exact("eni", pattern)]
        return named

    def literals(self) -> tuple[bytes, ...] | None:
        """Return texts of which the line of what fits has at least one; None if there are none."""
        if self._name == "mismatch":
            return (b'"mismatch"',)
        if self._name == "trunk" and any(spelling.mac_of(pattern) for pattern in self._patterns):
            return None  # a MAC can be written in several ways
        texts = [max(pattern.split("*"), key=len) for pattern in self._patterns]
        if not all(text and _PLAIN.issuperset(text) for text in texts):
            return None
        if self._name in ("vlan", "task"):
            return tuple(text.encode() for text in texts)
        whole = zip(texts, self._patterns, strict=True)
        return tuple((text if "*" in pattern else f'"{text}"').encode() for text, pattern in whole)

    def line_test(self) -> None:
        """Return None: a line with a literal in it is parsed."""


def _holds(record: Fields, name: str, patterns: Iterable[str]) -> bool:
    if name == "event" and "event" not in record:
        return any(_fits(value, pattern, name) for value in _events_of(record) for pattern in patterns)
    for field in FIELDS[name]:
        value = record.get(field)
        if value is not None and (value in patterns or any(_fits(value, pattern, name) for pattern in patterns)):
            return True
    return False


def _events_of(association: Fields) -> Iterable[str]:
    """Yield the kinds of the events that began and ended an association."""
    yield "adopt" if association.get("via") == "scan" else "add"
    ended_by = association.get("ended_by")
    if ended_by:
        yield "boot" if ended_by == "rebooted" else str(ended_by)


def _fits(value: object, pattern: str, name: str) -> bool:
    text = str(value)
    if name == "trunk" and (mac := spelling.mac_of(pattern)):
        return index_keys.mac(text) == mac
    if "*" in pattern:
        return _like(text, pattern) or (name == "task" and _like(index_keys.task_id(text), pattern))
    return text == pattern or (name == "task" and index_keys.task_id(text).startswith(pattern))


def _like(text: str, pattern: str) -> bool:
    """Tell whether a text is like a pattern with `*`: all of its pieces are in the text, one after the other."""
    first, *middle, last = pattern.split("*")
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
