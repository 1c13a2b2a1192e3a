"""What a ledger (`questions.History`) and several ledgers as one (`many.Many`) both answer, for type checkers.

Functions that take a `LedgerReader` work on either; those that read files take the `History` of one ledger, from
`apart`. Import this module under `TYPE_CHECKING` only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from eni_ledger.base.events import Association, Event
    from eni_ledger.ledger.query.questions import History
    from eni_ledger.ledger.read.filters import Filters
    from eni_ledger.ledger.read.terms import Query


class LedgerReader(Protocol):
    """Answers questions. The methods are described at `History`."""

    state_dir: str

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def apart(self) -> Sequence[History]:
        """Return the ledgers that are asked, each by itself."""

    def named(self) -> Sequence[tuple[str | None, History]]:
        """Return the ledgers with their names; None for the name of the only one."""

    def is_there(self) -> bool:
        """Tell whether there is a ledger."""

    def live(self) -> list[Association]:
        """Return the live associations, oldest first."""

    def at(self, when: str, query: Query | None = None) -> list[Association]:
        """Return what was live at `when`, oldest first."""

    def spans(self, query: Query | None) -> list[Association]:
        """Return every association that `query` may mean."""

    def all(self) -> list[Association]:
        """Return every association."""

    def who(self, what: str, at: str | None = None) -> list[Association]:
        """Return the associations that have or had `what`."""

    def find(
        self,
        queries: Sequence[Query] = (),
        *,
        first: str | None = None,
        last: str | None = None,
        filters: Filters | None = None,
    ) -> list[Association]:
        """Return the associations that fit."""

    def neighbours(self, query: Query, when: str) -> tuple[Association | None, Association | None]:
        """Return what had it last before `when`, and next after it."""

    def events(
        self,
        since: str | None = None,
        until: str | None = None,
        *,
        imported: bool = True,
        queries: Sequence[Query] = (),
        filters: Filters | None = None,
    ) -> Iterator[Event]:
        """Yield events in order of time."""

    def imported_events(
        self,
        since: str | None = None,
        until: str | None = None,
        *,
        queries: Sequence[Query] = (),
        filters: Filters | None = None,
    ) -> Iterator[Event]:
        """Yield the events that were imported."""

    def events_of(self, association: Association) -> Iterator[Event]:
        """Yield the events of an association."""
