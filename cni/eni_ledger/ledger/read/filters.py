"""Filters of `list`, `who` and `log`: conditions on fields, all of which have to hold.

A condition has patterns, one of which has to fit; `*` in a pattern stands for any text.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

FIELDS = {
    "family": ("task_family",),
    "service": ("service",),
    "cluster": ("cluster",),
    "task": ("task_arn",),
    "vlan": ("vlan_id", "observed_vlan_id"),
    "trunk": ("trunk_mac", "trunk_eni_id", "trunk_ifname"),
    "event": ("event",),
    "via": ("via",),
}
"""Option and the fields that its patterns are compared with."""


class Filters:
    """Patterns by option, see `FIELDS`; with `mismatch` only records in which the kernel shows another value.

    False when there is no condition.
    """

    def __init__(self, patterns: Mapping[str, Iterable[str]] | None = None, *, mismatch: bool = False) -> None:
        self.patterns = {name: tuple(given) for name, given in (patterns or {}).items() if given}
        self.mismatch = mismatch

    def __bool__(self) -> bool:
        return bool(self.patterns) or self.mismatch

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Tell whether every condition holds for an association or an event."""
        if self.mismatch and not record.get("mismatch"):
            return False
        return all(
            any(_fits(record.get(field), pattern, name) for field in FIELDS[name] for pattern in given)
            for name, given in self.patterns.items()
        )


def _fits(value: object, pattern: str, name: str) -> bool:
    if value is None:
        return False
    text = str(value)
    if "*" in pattern:
        import re  # rare, and as much to load as all of the ledger

        expression = ".*".join(map(re.escape, pattern.split("*")))
        return re.fullmatch(expression, text, re.DOTALL) is not None or (
            name == "task" and re.fullmatch(expression, text.rpartition("/")[2], re.DOTALL) is not None
        )
    return text == pattern or (name == "task" and text.rpartition("/")[2].startswith(pattern))
