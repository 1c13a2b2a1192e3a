"""The doctor on this very host; beside an agent: `test_which_agent.py` and `test_install.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from helpers.patience import PATIENCE_S
from helpers.prereq import need


def doctor(state_dir: Path) -> tuple[int, dict[str, dict[str, str]]]:
    """Return exit status and findings by name; the command is a process of its own."""
    code = "import sys; from eni_ledger.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--json", "--state-dir", str(state_dir)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stderr == ""
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["healthy"] is (done.returncode == 0)
    return done.returncode, {each["name"]: each for each in document["checks"]}


def test_a_host_without_ecs_has_nothing_that_fails(tmp_path: Path) -> None:
    need(not Path("/var/lib/ecs").exists(), "a host without the ECS agent")
    code, found = doctor(tmp_path / "state")
    assert code == 0
    assert found["interposed"]["status"] == "skipped"
    assert not (tmp_path / "state").exists()
