"""A moment that came twice, because the clock was set back: the other answers, and a word about it."""

from __future__ import annotations

from eni_ledger.ledger.query.clock_note import again
from eni_ledger.render.text import age, clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from eni_ledger.cli.damage import Answer
    from eni_ledger.cli.session import Session
    from eni_ledger.ledger.query.clock_note import Again
    from eni_ledger.ledger.query.questions import History

    Association = dict[str, Any]
    Choose = Callable[[list[Association]], list[Association]]


class Twice:
    """The other times that the clock showed `times`; each with those of its associations that `choose` keeps.

    Only what differs from `answer` is kept: who gets the same answer for both need not know that there were two. False
    when there is nothing of the kind.
    """

    def __init__(self, history: History, times: tuple[str, str], answer: Answer, choose: Choose = list) -> None:
        self._times = times
        told = {one["association_id"] for one in answer.found}
        every = [(time, choose(time.found)) for time in again(history, *times)]
        self.times: list[tuple[Again, list[Association]]] = [
            (time, found) for time, found in every if {one["association_id"] for one in found} != told
        ]

    def __bool__(self) -> bool:
        return bool(self.times)

    @property
    def found(self) -> list[Association]:
        """The associations in all of them."""
        return [one for _, found in self.times for one in found]

    def document(self) -> list[dict[str, Any]] | None:
        """Return what `--json` prints, None for nothing."""
        return [time.document(found) for time, found in self.times] or None

    def print(self, session: Session) -> None:
        """Print each of them below the answer."""
        from eni_ledger.render.associations import print_history

        for time, found in self.times:
            session.screen.line()
            session.screen.line(
                f"{clock(self._times[0])} UTC came twice: the clock was set back at {clock(time.ts)} UTC and "
                f"was behind by {age(time.back_us / 1e6)}; by the clock the second time:"
            )
            if found:
                print_history(found, session.screen, session.as_of())
            else:
                session.screen.line("nobody")
