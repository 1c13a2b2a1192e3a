"""A pytest plugin: records which test runs which line and how long it takes, or ends a test that hangs.

`MUTANTS_RECORD`, a directory: record there. `MUTANTS_SECONDS`, a JSON file of seconds by test: end the whole run when a
test takes ten times as long and half a minute more, since a mutant may loop for ever.
"""

from __future__ import annotations

import faulthandler
import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = os.environ.get("MUTANTS_RECORD")
SECONDS = os.environ.get("MUTANTS_SECONDS")
PACKAGE = os.environ.get("MUTANTS_PACKAGE")

# Started here, as the plugin is loaded: before anything imports eni_ledger, so that its module level is recorded too.
_coverage: coverage.Coverage | None = None
if RECORD and PACKAGE:
    _coverage = coverage.Coverage(f"{RECORD}/lines", data_suffix=True, source=[PACKAGE], config_file=False)
    _coverage.start()
_limits: dict[str, float] = json.loads(Path(SECONDS).read_text()) if SECONDS else {}
_seconds: dict[str, float] = {}


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw the same examples each time, so that a seed means the same outcome."""
    del config
    from hypothesis import settings

    settings.register_profile("mutants", settings(), derandomize=True, database=None)
    settings.load_profile("mutants")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Name the test to coverage, or limit its time."""
    if _coverage:
        _coverage.switch_context(item.nodeid)
    if SECONDS:
        faulthandler.dump_traceback_later(10 * _limits.get(item.nodeid, 1) + 30, exit=True)
    try:
        return (yield)
    finally:
        if SECONDS:
            faulthandler.cancel_dump_traceback_later()
        if _coverage:
            _coverage.switch_context("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up what a test takes."""
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0) + report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was recorded; of the workers of pytest-xdist each writes its own lines."""
    if _coverage:
        _coverage.stop()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the process that only hands out tests to workers has no line
            _coverage.save()
    if RECORD and not hasattr(session.config, "workerinput"):
        Path(RECORD, "seconds.json").write_text(json.dumps(_seconds))
