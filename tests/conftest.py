"""What all tests share."""

from __future__ import annotations

import gc
import os
import shlex
import sys
from pathlib import Path

import pytest

from helpers.prereq import need

REPOSITORY = Path(__file__).parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Settle how property tests run: in any time (a busy machine is no bug), the same examples in every CI run."""
    del config
    os.umask(0o022)  # a configuration file that a group may write to is not used
    if os.environ.get("ENI_LEDGER_LAB") == "vm":
        return  # hypothesis takes seconds to import there, and nothing in the lab uses it
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "eni-ledger",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=bool(os.environ.get("CI")),
    )
    settings.load_profile("eni-ledger")


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone what stays, thousands of tests and the modules, and come less often.

    To go through all of that again and again was three quarters of the time of tests that make many small objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the command that repeats each test that failed; `build/test` collects these lines of all parts."""
    stats = terminalreporter.stats
    for test in sorted({report.nodeid for kind in ("failed", "error") for report in stats.get(kind, ())}):
        part = test.split("/")[1] if test.startswith("tests/") else ""
        terminalreporter.write_line(f"again: build/test {part} -- {shlex.quote(test)}")


@pytest.fixture(scope="session")
def front_door() -> Path:
    """Return the `eni-ledger` to test: `$ENI_LEDGER_BIN`, else the built bundle, else this environment's script."""
    candidates = [
        REPOSITORY / "dist/eni-ledger/eni-ledger",
        Path(sys.prefix, "bin/eni-ledger"),
    ]
    if chosen := os.environ.get("ENI_LEDGER_BIN"):
        candidates = [Path(chosen)]
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    need(condition=False, reason=f"an eni-ledger executable: none of {', '.join(map(str, candidates))}")
    raise AssertionError
