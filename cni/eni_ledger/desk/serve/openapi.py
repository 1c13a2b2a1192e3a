"""The OpenAPI document of the server."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from eni_ledger.base.version import __version__
from eni_ledger.desk.ec2.query_protocol import OPERATIONS
from eni_ledger.desk.serve.parameters import FILTERS, LONGEST, MOST_ITEMS

_TIME = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string", "minLength": 1, "maxLength": LONGEST}
_ABOUT = {
    "at": "What was live at that time; given to the second, at any moment of that second.",
    "since": "From that time on.",
    "until": "Up to that time.",
    "next": "`next` of the page before.",
    "event": "Kind of event; `*` is any text.",
}


@cache
def document() -> bytes:
    """Return the document as JSON."""
    text = Path(__file__).with_name("openapi.json").read_text(encoding="utf-8")
    made: dict[str, Any] = json.loads(text)
    made["info"]["version"] = __version__
    for path, names, most in (
        ("/v1/associations", ("at", "since", "until", *FILTERS, "next"), MOST_ITEMS),
        ("/v1/who", ("at", "since", "until", *FILTERS, "next"), MOST_ITEMS),
        ("/v1/events", ("since", "until", *FILTERS, "event", "next"), 100),
    ):
        given = made["paths"][path]["get"].setdefault("parameters", [])
        given += [_parameter(name) for name in names]
        limit = {"type": "integer", "minimum": 1, "maximum": MOST_ITEMS, "default": most}
        given.append({"name": "limit", "in": "query", "description": "At most so many.", "schema": limit})
    form = made["paths"]["/"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    form["properties"]["Action"]["enum"] = list(OPERATIONS)
    return json.dumps(made).encode()


def _parameter(name: str) -> dict[str, Any]:
    about = _ABOUT.get(name) or f"Only of this {name}; `*` is any text."
    schema = _TIME if name in ("at", "since", "until") else _TEXT
    return {"name": name, "in": "query", "description": about, "schema": schema}
