"""The time that a question is about: a moment, or an interval. Without click, as the front door carries it."""

from __future__ import annotations

from eni_ledger.base.errors import UsageError
from eni_ledger.render.text import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association
    from eni_ledger.cli.request import Request
    from eni_ledger.cli.session import Session


class Period:
    """From `first` to `last`, both included, times of the ledger; None leaves that side open.

    `moment` is whether a moment was asked for: then both are given, and differ if it was given to the second.
    """

    __slots__ = ("first", "last", "moment")

    def __init__(self, first: str | None, last: str | None, *, moment: bool = False) -> None:
        self.first = first
        self.last = last
        self.moment = moment

    def overlaps(self, association: Association) -> bool:
        """Tell whether an association was live at any moment of it."""
        return (self.last is None or str(association["since"]) <= self.last) and (
            self.first is None or self.first < str(association.get("until", "~"))
        )

    def document(self) -> dict[str, str | None]:
        """Return it as a JSON document says it: `at`, or `since` and `until`."""
        return {"at": self.first} if self.moment else {"since": self.first, "until": self.last}

    def words(self, session: Session) -> str:
        """Return it in words, behind which nothing has to follow: `at ...`, `from ... to ...`, `since ...`."""
        if self.moment:
            return f"at {session.clock(self.first)}"
        if self.last is None:
            return f"since {session.clock(self.first)}"
        if self.first is None:
            return f"until {session.clock(self.last)}"
        return f"from {session.clock(self.first)} to {session.clock(self.last)}"

    def echo(self, session: Session, what: str) -> None:
        """Print `what`, and the dates that the user's words were resolved to."""
        if self.moment and self.first:
            session.echo_time(self.first, what)
        else:
            session.screen.line(f"{safe(what)} {self.words(session)}")
            session.screen.line()


def period_of(session: Session, request: Request) -> Period | None:
    """Return what `--at`, or `--since` and `--until`, ask for; None without any of them.

    Raises UsageError for what is not a time, a moment or a beginning that is to come, an interval that ends before it
    begins, and for a moment together with an interval.
    """
    if request.at is not None:
        for name, value in (("--since", request.since), ("--until", request.until)):
            if value is not None:
                hint = "--at asks for a moment, --since and --until for an interval"
                raise UsageError(f"--at and {name} exclude each other", hint=hint)
        times = session.times(request.at, "--at")
        return Period(*times, moment=True) if times else None
    begin = session.times(request.since, "--since")
    end = session.times(request.until, "--until", future=True)
    first, last = begin[0] if begin else None, end[1] if end else None
    if first and last and first > last:
        hint = "change the two round, or give the date too: a time without one is the latest that is past"
        details = f"{session.clock(first)} and {session.clock(last)}"
        raise UsageError("--since is later than --until", details, hint)
    return Period(first, last) if first or last else None
