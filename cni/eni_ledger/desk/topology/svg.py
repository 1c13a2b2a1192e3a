"""The picture as SVG: one file for light and dark pages, without scripts; and as an HTML page around it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from markupsafe import Markup

from eni_ledger.desk import templates
from eni_ledger.desk.topology import words
from eni_ledger.desk.topology.picture import branches
from eni_ledger.render.text import counted, safe

WIDTH = 1200
COLOURS = 12
_MARGIN, _GAP, _BUS = 24, 14, 30
_CARD_HEAD, _LINE, _COLUMNS = 40, 17, 4
_CARD_WIDE = (WIDTH - 2 * _MARGIN - _BUS - (_COLUMNS - 1) * _GAP) / _COLUMNS
_HEAD, _TRUNK, _ROW_GAP = 64, 54, 30
_MONO, _SANS = 37, 30
"""Characters that fit into a card in the two fonts."""


def svg(picture: dict[str, Any], *, title: str, styled: bool = True) -> Markup:
    """Return the picture as an element `svg`, with its style sheet when `styled`.

    An SVG file is that and nothing else. A page puts `style()` into its own style sheet.
    """
    colours = family_colours([words.family(node).partition(":")[0] for node in branches(picture)])
    hosts, top = [], _MARGIN
    for host in picture["hosts"]:
        drawn = _host(host, top, colours)
        hosts.append(drawn)
        top = drawn["bottom"] + _MARGIN
    made = templates.environment().get_template("topology.svg.j2")
    text = made.render(
        hosts=hosts, width=WIDTH, height=max(top, 80), title=title, style=templates.inline(style()) if styled else "",
        card_wide=round(_CARD_WIDE, 1), margin=_MARGIN,
    )  # fmt: skip
    return Markup(text)  # noqa: S704 - rendered with autoescape


def page(picture: dict[str, Any], *, title: str, notes: list[str]) -> str:
    """Return the picture as a self-contained HTML page; `notes` stand above it. It loads nothing and runs nothing."""
    sheet = templates.text_of("topology", "page.css") + style()
    made = templates.environment().get_template("topology.html.j2")
    return made.render(
        title=title, notes=notes, limits=words.limit_sources(picture),
        svg=svg(picture, title=title, styled=False), hosts=picture["hosts"], words=words,
        safe=safe, style=templates.inline(sheet), style_hash=templates.source_hash(sheet),
    )  # fmt: skip


def style() -> str:
    """Return the style sheet of the picture."""
    return templates.text_of("topology", "topology.css")


def family_colours(families: list[str]) -> dict[str, int]:
    """Return a number below COLOURS for each family: the most frequent ones first, 0 for all that are left."""
    names = sorted(Counter(filter(None, families)).items(), key=lambda item: (-item[1], item[0]))
    return {name: number if number < COLOURS else 0 for number, (name, _) in enumerate(names, 1)}


def _host(host: dict[str, Any], top: float, colours: dict[str, int]) -> dict[str, Any]:
    """Return places and texts of a host and what is in it."""
    drawn: dict[str, Any] = {"top": top, "name": words.host_name(host), "about": words.type_words(host), "parts": []}
    at = top + _HEAD
    for trunk in host["trunks"]:
        kind = host["orchestrator"] or "ecs"
        limit = host["limits"][kind]
        used = len(trunk["vlans_used"]) / limit if limit else None
        about = {"name": f"trunk {words.trunk_name(trunk)}", "about": words.vlan_words(trunk, host), "used": used}
        drawn["parts"].append(_part(about, trunk["branches"], at, colours))
        at = drawn["parts"][-1]["bottom"] + _GAP
    for title, nodes in (("whole ENIs", host["enis"]), ("other attachments", host["others"])):
        if nodes:
            about = {"name": title, "about": counted(len(nodes), "attachment"), "used": None}
            drawn["parts"].append(_part(about, nodes, at, colours))
            at = drawn["parts"][-1]["bottom"] + _GAP
    return {**drawn, "bottom": at + 4}


def _part(about: dict[str, Any], nodes: list[dict[str, Any]], top: float, colours: dict[str, int]) -> dict[str, Any]:
    """Return the places of a trunk, of the lines from it, and of the cards of its branches, in rows."""
    made, cards, rows = [_card(node, colours) for node in nodes], [], []
    tall = _CARD_HEAD + _LINE * max((len(one["lines"]) for one in made), default=0)
    for number, one in enumerate(made):
        row, column = divmod(number, _COLUMNS)
        x = _MARGIN + _BUS + column * (_CARD_WIDE + _GAP)
        y = top + _TRUNK + _ROW_GAP + row * (tall + _ROW_GAP)
        cards.append({"x": round(x, 1), "y": y, "tall": tall, **one})
        if column == 0:
            rows.append({"y": y - _ROW_GAP / 2, "to": 0.0})
        rows[-1]["to"] = round(x + 24, 1)
    bottom = (cards[-1]["y"] + tall) if cards else top + _TRUNK
    return {**about, "top": top, "tall": _TRUNK, "cards": cards, "rows": rows, "bottom": bottom, "bus": _MARGIN + 14}


def _card(node: dict[str, Any], colours: dict[str, int]) -> dict[str, Any]:
    """Return the texts of an attachment, cut to the card's width; `full` has all of them uncut."""
    space, addresses = node["namespace"], words.ips(node)
    pid = f" pid {safe(space['pid'])}" if space["pid"] is not None else ""
    pause, hostname = safe(node["pause"]["name"]) or safe(node["pause"]["id"])[:12], safe(node["pause"]["hostname"])
    shown = addresses[:1] if len(addresses) < 2 or len(addresses[0]) + len(addresses[1]) > _MONO - 2 else addresses[:2]
    more = f" +{len(addresses) - len(shown)}" if len(addresses) > len(shown) else ""
    lines = [
        ("  ".join(shown) + more) or words.ip(node),
        words.branch_name(node),
        f"netns {safe(space['inode']) or words.NOT_KNOWN}{pid}",
        f"pause {pause or words.NOT_KNOWN}",
        *([hostname] if hostname else []),
        words.containers(node),
    ]
    full = [*addresses, words.branch_name(node), lines[2], *words.pause(node), words.containers(node)]
    if node["task"]["arn"]:
        full.insert(0, safe(node["task"]["arn"]))
    mismatch = ", ".join(map(safe, node["mismatch"]))
    return {
        "vlan": safe(node["vlan_id"]) if node["vlan_id"] is not None else safe(node["ifname"])[:6] or "-",
        "owner": _cut(words.owner(node), _SANS - 3),
        "lines": [_cut(line, _MONO) for line in lines],
        "full": "\n".join([words.owner(node), *full, *([f"mismatch: {mismatch}"] if mismatch else [])]),
        "mismatch": bool(mismatch),
        "colour": colours.get(words.family(node).partition(":")[0], 0),
    }


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
