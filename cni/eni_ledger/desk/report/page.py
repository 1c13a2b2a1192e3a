"""The page of a report: a document in, HTML out, in one file that loads nothing."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from eni_ledger.desk import templates
from eni_ledger.desk.report.findings import ms
from eni_ledger.desk.report.payload import payload
from eni_ledger.desk.topology import svg, words
from eni_ledger.desk.topology.picture import branches
from eni_ledger.render.text import addresses, clock, counted, label, safe, size, zone_name

Document = dict[str, Any]

FINDINGS_MAX = 300
DRAWN_MAX = 250
"""Attachments that a picture in a page has at most: a host has 120, and each takes a kilobyte."""

_HEADS = (
    *(("vlan", "VLAN"), ("ip", "IP"), ("owner", "Task"), ("eni", "ENI or MAC"), ("container", "Container")),
    *(("since", "From"), ("until", "Until"), ("lasted", "Lasted"), ("ended", "Ended by")),
)


class NewEvents(NamedTuple):
    """Where events begin that are not in a page: behind the first `skip` of those from `since` on."""

    since: str
    skip: int


def render(document: Document, zone: tzinfo = UTC, live: NewEvents | None = None) -> str:
    """Return the page of what `collect` returned; times in `zone` at first, in UTC without the script.

    With `live` it asks the server that it is from for new events; it may connect to nothing else, and without to
    nothing at all.
    """
    sheet = svg.style() + templates.text_of("report", "report.css")
    scripts = [templates.text_of("report", name) for name in ("report.js", *(["live.js"] if live else []))]
    found, picture = document["findings"], document["picture"]
    name = _host_words(document)
    return templates.environment().get_template("report.html.j2").render(
        title=f"eni-ledger report of {name}" if name else "eni-ledger report",
        first=document["first"], last=document["last"], now_words="when it was made" if document["until_now"] else "",
        notes=[f"The ledger is damaged; this page has what is proven. {safe(text)}" for text in document["damage"]],
        totals=_totals(document), chain=_chain(document), heads=_HEADS,
        findings=[_finding(one) for one in found[:FINDINGS_MAX]], more_findings=max(0, len(found) - FINDINGS_MAX),
        gaps=[{**gap, "text": safe(gap["text"])} for gap in document["gaps"]],
        picture=_picture(picture), no_picture=_no_picture(picture),
        limits=words.limit_sources(picture),
        sources=[_source(one, document) for one in document["sources"]], made=_made(document, live), time=_time,
        data=payload(document, zone=zone_name(zone)), style=templates.inline(sheet), live=live,
        scripts=list(map(templates.inline, scripts)), style_hash=templates.source_hash(sheet),
        script_hashes=list(map(templates.source_hash, scripts)),
    )  # fmt: skip


def _time(ts: object) -> Markup:
    """Return an element `time` that the script shows in another zone."""
    stamp = ms(ts)
    text = escape(clock(ts))
    return text if stamp is None else Markup('<time datetime="{}" data-ms="{}">{}</time>').format(safe(ts), stamp, text)


def _totals(document: Document) -> dict[str, int]:
    associations = document["associations"]
    return {
        "associations": len(associations),
        "live": len(branches(document["picture"])),
        "tasks": len({str(one["task_arn"]) for one in associations if one.get("task_arn")}),
        "vlans": len({str(one["vlan_id"]) for one in associations if one.get("vlan_id") is not None}),
        "findings": len(document["findings"]),
        "gaps": len(document["gaps"]),
    }


def _proven(document: Document) -> bool:
    return bool(document["sources"]) and all(one["sound"] for one in document["sources"]) and not document["damage"]


def _chain(document: Document) -> str:
    if _proven(document):
        return "proven"
    return "damaged" if document["damage"] or document["sources"] else "not looked at"


def _host_words(document: Document, ledger: str | None = None) -> str:
    """Return the instances of the associations, of those from `ledger` where that is given."""
    of = [one for one in document["associations"] if ledger is None or one.get("ledger") == ledger]
    named = {safe(one["instance_id"]) for one in of if one.get("instance_id")}
    return ", ".join(sorted(named)) if len(named) <= 2 else counted(len(named), "host")


def _finding(one: dict[str, Any]) -> dict[str, Any]:
    """Return what a row of findings shows."""
    about = one["about"]
    vlan = f"VLAN {safe(about['vlan_id'])}" if about.get("vlan_id") is not None else ""
    of = [vlan, *addresses(about)[:1], label(about)]
    return {**one, "of": "  ".join(filter(None, of)), "text": safe(one["text"])}


def _picture(picture: dict[str, Any]) -> Markup | str:
    if not 0 < len(branches(picture)) <= DRAWN_MAX:
        return ""
    hosts = ", ".join(words.host_name(host) for host in picture["hosts"])
    return svg.svg(picture, title=f"Topology of {hosts}", styled=False)


def _no_picture(picture: dict[str, Any]) -> str:
    count = len(branches(picture))
    return f"{count} attachments are too many to draw: see the table." if count else "Nothing was live then."


def _source(one: dict[str, Any], document: Document) -> dict[str, Any]:
    """Return what the page says of a ledger."""
    segments = [
        {**each, "path": safe(each["path"]), "range": _range(each), "size": size(each["bytes"])}
        for each in one["segments"]
    ]
    numbers = [each[key] for each in one["segments"] for key in ("first_seq", "last_seq") if each[key] is not None]
    chain = f"proven: every checksum of {counted(one['events'], 'event')}, and none is missing"
    if not one["sound"]:
        chain = f"not proven: {counted(len(one['damage']), 'damaged place')}; {counted(one['events'], 'event')} proven"
    return {
        "place": safe(one["place"]),
        "host": _host_words(document, one["place"] if len(document["sources"]) > 1 else None) or "not known",
        "copy_of": safe(one["copy"]),
        "range": f"seq {min(numbers)} to {max(numbers)}" if numbers else "none",
        "chain": chain,
        "sound": one["sound"],
        "damage": [safe(text) for text in one["damage"][:20]],
        "notes": [safe(text) for text in one["notes"][:20]],
        "segments": segments,
    }


def _range(segment: dict[str, Any]) -> str:
    first, last = segment["first_seq"], segment["last_seq"]
    return "" if first is None else f"{first} to {last}"


def _made(document: Document, live: NewEvents | None) -> str:
    about = document["made"]
    network = "This file loads nothing and sends nothing."
    if live:
        network = "It asks the server that it is from for new events, and nothing else."
    return f"Made by eni-ledger {about['version']} at {clock(about['ts'])} UTC. {network}"
