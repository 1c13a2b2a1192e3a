"""Pages and pictures made by the bundle, which carries their templates, style sheets, scripts and tables."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from helpers.documents import past, write_ledger

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """Return a ledger of 30 associations."""
    write_ledger(tmp_path / "state", past(30))
    return tmp_path / "state"


def output(front: Path, *args: str | Path) -> str:
    done = subprocess.run(
        [front, *args], capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1"}
    )
    return done.stdout


def test_the_bundle_makes_a_report(front: Path, state_dir: Path) -> None:
    text = output(front, "report", "-", "--state-dir", state_dir)
    assert "<b>30</b><span>associations</span>" in text
    assert '<b class="good">proven</b>' in text


@pytest.mark.parametrize("form", ["tree", "svg", "html", "mermaid", "dot", "json"])
def test_the_bundle_draws_every_form(front: Path, state_dir: Path, form: str) -> None:
    text = output(front, "topology", "-o", form, "--instance-type", "m5.16xlarge", "--state-dir", state_dir)
    assert "VLAN" in text or "vlan_id" in text
    assert "110" in text
    if form == "svg":
        ElementTree.fromstring(text)


def test_the_bundle_has_the_files_that_lie_beside_the_modules(bundle: Path) -> None:
    desk = bundle / "_internal/eni_ledger/desk"
    names = {path.name for path in desk.rglob("*") if path.is_file()}
    assert {"limits.json", "topology.svg.j2", "topology.css", "report.html.j2", "report.css", "report.js"} <= names
