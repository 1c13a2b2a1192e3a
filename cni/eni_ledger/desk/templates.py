"""Templates of pages and pictures: jinja2 with autoescape, from the files beside the modules that use them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_PLACES = ("topology", "report")


def environment() -> Environment:
    """Return what renders the templates `*.j2` of `desk`; every value is escaped unless it is Markup."""
    places = [str(Path(__file__).with_name(name)) for name in _PLACES]
    return Environment(
        loader=FileSystemLoader(places),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def text_of(place: str, name: str) -> str:
    """Return the text of a file of ours that goes into a page unchanged: a style sheet or a script."""
    return Path(__file__).with_name(place).joinpath(name).read_text(encoding="utf-8")


def inline(text: str) -> Markup:
    """Return text of ours as the content of an element `style` or `script`, which knows no escapes.

    Raises ValueError for a text that could end the element.
    """
    if "</" in text:
        raise ValueError("a style sheet or script with an end tag in it")
    return Markup(text)  # noqa: S704 - a file of this package


def source_hash(text: str) -> str:
    """Return the source expression of a Content-Security-Policy that allows exactly this inline text (CSP Level 3)."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
