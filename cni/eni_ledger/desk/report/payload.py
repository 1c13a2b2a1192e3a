"""The associations as the page's script reads them: columns of text, small without a packer.

A column is one string with a line for each association. Numbers are in base 36; times are milliseconds, the begin as
the difference from the one before. Texts that many have (families, trunks) stand once, in `words`, and are numbers in
their column. ENI IDs and MACs stand without prefix and colons, association IDs as `show` takes them; a column of hex
digits alone, `HEX` of them each, is packed: base64 of its bytes, zeros where there is no value.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from eni_ledger.desk.report.findings import ms
from eni_ledger.desk.topology.svg import family_colours
from eni_ledger.render.associations import ENDED
from eni_ledger.render.card import how_ended, mismatch_text
from eni_ledger.render.text import SHORT, addresses, mismatches, safe, short_id, task_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Association


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ENI = re.compile(r"eni-[0-9a-f]{17}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_UNSAFE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_LEGEND_MAX = 24

HEX = {"id": 8, "eni": 18, "mac": 12, "container": 12, "task": 32}
"""Columns that may be packed, and their digits; an ENI ID has 17 and a zero behind them."""


class _Words:
    """Texts that are numbers in a column, in the order in which they came."""

    def __init__(self) -> None:
        self.all: dict[str, int] = {}

    def of(self, text: str) -> str:
        return base36(self.all.setdefault(text, len(self.all))) if text else ""


def payload(document: dict[str, Any], *, zone: str = "UTC") -> Markup:
    """Return the data of a document's page as the content of a `script` element of type application/json.

    `zone` is the name of the zone in which times are shown first.
    """
    associations = document["associations"]
    words = {name: _Words() for name in ("family", "service", "trunk", "host", "ended", "mismatch")}
    lanes = _lanes(associations)
    order = {key: base36(number) for number, key in enumerate(sorted(lanes, key=_lane_order))}
    columns: dict[str, list[str]] = {}
    base = before = (ms(associations[0]["since"]) or 0) if associations else 0
    for one in associations:
        begin = ms(one.get("since")) or before
        row = _row(one, words)
        row["since"], row["lasted"] = base36(max(0, begin - before)), _lasted(one, begin)
        row["lane"] = order[_lane(one)]
        before = max(before, begin)
        for name, text in row.items():
            columns.setdefault(name, []).append(text)
    packed = {name: _packed(columns[name], digits) for name, digits in HEX.items() if name in columns}
    packed = {name: text for name, text in packed.items() if text}
    families = list(words["family"].all)
    counts = Counter(columns.get("family", []))
    colours = family_colours([text for text in families for _ in range(counts[base36(words["family"].all[text])])])
    legend = sorted(range(len(families)), key=lambda at: -counts[base36(at)])[:_LEGEND_MAX]
    return as_script(
        {
            "rows": len(associations),
            "base": base,
            "first": ms(document["first"]) or base,
            "last": ms(document["last"]) or base,
            "zone": zone,
            "columns": {name: "\n".join(texts) for name, texts in columns.items() if name not in packed},
            "packed": packed,
            "hex": HEX,
            "words": {name: list(each.all) for name, each in words.items()},
            "colours": [colours.get(text, 0) for text in families],
            "legend": legend,
            "lanes": [
                text
                for _, text in sorted(
                    ((key, _lane_words(key, lanes)) for key in lanes), key=lambda i: _lane_order(i[0])
                )
            ],
            "gaps": [[ms(gap["first"]), ms(gap["last"])] for gap in document["gaps"]],
            "marks": sorted({mark for each in document["findings"][:2000] if (mark := ms(each["ts"])) is not None}),
        }
    )


def as_script(value: object) -> Markup:
    """Return JSON that no HTML parser takes for anything but text: every ``<``, ``>`` and ``&`` is an escape."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(_UNSAFE))  # noqa: S704 - has none of the characters that end the element


def _packed(texts: list[str], digits: int) -> str:
    """Return a column of hex digits as base64, nothing where it has anything else in it."""
    zeros = "0" * digits
    whole = re.compile(rf"[0-9a-f]{{{digits}}}|[0-9a-f]{{17}}" if digits == HEX["eni"] else rf"[0-9a-f]{{{digits}}}")
    if not all(text == "" or (whole.fullmatch(text) and text.strip("0")) for text in texts):
        return ""
    return base64.b64encode(bytes.fromhex("".join((text or zeros).ljust(digits, "0") for text in texts))).decode()


def base36(number: int) -> str:
    """Return a number that is not negative in base 36, as parseInt(text, 36) reads it."""
    if number < 36:
        return _DIGITS[number]
    digits = []
    while number:
        number, rest = divmod(number, 36)
        digits.append(_DIGITS[rest])
    return "".join(reversed(digits))


def _row(one: Association, words: dict[str, _Words]) -> dict[str, str]:
    """Return the texts of one association by column, without its times."""
    mac = safe(one.get("branch_mac") or one.get("observed_mac") or one.get("declared_mac"))
    eni = safe(one.get("eni_id"))
    trunk = " ".join(safe(one[key]) for key in ("trunk_ifname", "trunk_eni_id", "trunk_mac") if one.get(key))
    host = " ".join(safe(one[key]) for key in ("instance_id", "ledger") if one.get(key))
    ended = how_ended(one) if "until" in one else ""
    return {
        "id": short_id(one.get("association_id")),
        "vlan": safe(one.get("vlan_id")),
        "ip": " ".join(addresses(one)),
        "family": words["family"].of(safe(one.get("task_family"))),
        "revision": safe(one.get("task_revision")),
        "task": task_id(one["task_arn"]) if one.get("task_arn") else "",
        "service": words["service"].of(safe(one.get("service"))),
        "eni": eni.removeprefix("eni-") if _ENI.fullmatch(eni) else eni,
        "mac": mac.replace(":", "") if _MAC.fullmatch(mac) else mac,
        "container": safe(one.get("container_id"))[:SHORT],
        "netns": safe(one.get("netns_inode")),
        "pid": safe(one.get("pid")),
        "trunk": words["trunk"].of(trunk),
        "host": words["host"].of(host),
        "ended": words["ended"].of(ENDED.get(ended, safe(ended))),
        "mismatch": words["mismatch"].of(mismatch_text(one) if mismatches(one) else ""),
    }


def _lasted(one: Association, begin: int) -> str:
    end = ms(one.get("until"))
    return "" if end is None else base36(max(0, end - begin))


def _lane(one: Association) -> tuple[str, str, str]:
    """Return host, trunk and VLAN ID; what has no VLAN ID has the name of its interface and ENI in its place."""
    host = str(one.get("ledger") or one.get("instance_id") or one.get("boot_id") or "")
    if one.get("vlan_id") is not None:
        return host, str(one.get("trunk_mac") or one.get("trunk_ifname") or ""), safe(one["vlan_id"])
    return host, "~", safe(one.get("eni_id") or one.get("branch_mac") or one.get("ifname"))


def _lanes(associations: Iterable[Association]) -> set[tuple[str, str, str]]:
    return {_lane(one) for one in associations}


def _lane_order(key: tuple[str, str, str]) -> tuple[str, str, int, str]:
    host, trunk, name = key
    return host, trunk, int(name) if name.isdecimal() else 1 << 20, name


def _lane_words(key: tuple[str, str, str], lanes: set[tuple[str, str, str]]) -> str:
    """Return the VLAN ID, with the end of the trunk's name where there are several trunks."""
    several = len({(host, trunk) for host, trunk, _ in lanes if trunk != "~"}) > 1
    return f"{key[1][-5:]} {key[2]}" if several and key[1] != "~" else key[2][-8:]
