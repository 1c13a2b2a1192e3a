"""A question: what, when, which of the answers, and how they are printed. Without click."""

from __future__ import annotations

from eni_ledger.render.form import Form

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from eni_ledger.ledger.read.filters import Filters


class Request:
    """What `list`, `who` and `log` were asked.

    `whats` are the things to look for, as they were typed; `at`, or `since` and `until`, the times, as they were typed.
    `not_understood` is the number of lines of standard input that can be no WHAT.
    """

    __slots__ = ("at", "filters", "form", "not_understood", "since", "until", "whats")

    def __init__(
        self,
        whats: Sequence[str] = (),
        *,
        at: str | None = None,
        since: str | None = None,
        until: str | None = None,
        filters: Filters | None = None,
        form: Form | None = None,
        not_understood: int = 0,
    ) -> None:
        self.whats = tuple(whats)
        self.at = at
        self.since = since
        self.until = until
        self.filters = filters or None
        self.form = form or Form()
        self.not_understood = not_understood
