"""What stands out in an interval, and what of it is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from eni_ledger.render.card import how_ended, mismatch_text
from eni_ledger.render.events import remarks
from eni_ledger.render.text import age, mismatches, moment, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Event, Fields

Finding = dict[str, Any]
Gap = dict[str, str]

_ENDS = {
    "lost": "gone without a DEL",
    "superseded": "taken over without a DEL",
    "rebooted": "ended by a reboot",
}


def of_associations(associations: Iterable[Fields], first: str, last: str) -> list[Finding]:
    """Return a finding for each mismatch, and for each end without a DEL in the interval, in order of time."""
    found = []
    for one in associations:
        if mismatches(one):
            found.append({"ts": one["since"], "what": "mismatch", "about": one, "text": mismatch_text(one)})
        what = _ENDS.get(how_ended(one))
        if what and first <= str(one.get("until", "")) <= last:
            found.append({"ts": one["until"], "what": what, "about": one, "text": safe(one.get("reason"))})
    return sorted(found, key=lambda finding: str(finding["ts"]))


class Events:
    """Findings and gaps in the events of an interval, which are taken one after another.

    `holes` is whether the numbers of events show that some are missing.
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.gaps: list[Gap] = []
        self.holes = False
        self._last: dict[str, tuple[int, str]] = {}  # of each ledger: seq and time of the event before

    def take(self, event: Event) -> None:
        """Take in the next event."""
        kind = event["event"]
        self._hole(event)
        if kind == "add_failed":
            self.findings.append({"ts": event["ts"], "what": "ADD failed", "about": event, "text": remarks(event)})
        elif kind == "boot":
            self.findings.append({"ts": event["ts"], "what": "reboot", "about": {}, "text": remarks(event)})
            if event.get("sync") is False:
                self._gap(event["ts"], event["ts"], "events right before this boot may be missing: sync was off")
        elif kind == "checkpoint" and event.get("damage"):
            self._gap(event["ts"], event["ts"], f"the segment before is damaged: {safe(event['damage'])}")
        step = event.get("clock_step_us")
        if isinstance(step, int) and step > 0:
            about = f"the clock had been set back by {age(step / 1e6) if step >= 1e6 else f'{step / 1e6:.3f}s'}"
            self.findings.append({"ts": event["ts"], "what": "clock set back", "about": event, "text": about})

    def _hole(self, event: Event) -> None:
        ledger = str(event.get("ledger", ""))
        seq, ts = self._last.get(ledger, (None, ""))
        if seq is not None and event["seq"] > seq + 1:
            self.holes = True
            missing = event["seq"] - seq - 1
            number = f"event {seq + 1} is" if missing == 1 else f"events {seq + 1} to {event['seq'] - 1} are"
            self._gap(ts, event["ts"], f"{number} damaged or missing{f' in {safe(ledger)}' if ledger else ''}")
        self._last[ledger] = (event["seq"], event["ts"])

    def _gap(self, first: str, last: str, text: str) -> None:
        self.gaps.append({"first": first, "last": last, "text": text})


def outside(first: str, last: str, begins: str | None, as_of: str | None) -> Iterator[Gap]:
    """Yield the parts of the interval that the ledger does not reach: before it `begins`, and after `as_of`."""
    if begins is None:
        yield {"first": first, "last": last, "text": "the ledger has no event"}
    elif first < begins:
        yield {"first": first, "last": min(last, begins), "text": "before the ledger begins"}
    if as_of is not None and as_of < last:
        yield {"first": max(first, as_of), "last": last, "text": "after the last event of this copy"}


def ms(ts: object) -> int | None:
    """Return a time of the ledger as milliseconds since 1970, None if it is not one."""
    time = moment(ts)
    return None if time is None else round(time.timestamp() * 1000)
