"""The doctor on this very host, beside a process that is to /proc what the ECS agent is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSYBOX = Path("/bin/busybox")
PLUGINS = "/data/eni-ledger/plugins"
OWN_PLUGINS = "/amazon-ecs-cni-plugins"


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


@contextmanager
def agent(root: Path, **env: str) -> Iterator[int]:
    """Run a process of the name `agent` with this root directory and environment, as the agent's container has it."""
    shutil.copy(BUSYBOX, root / "agent")
    process = subprocess.Popen(["sleep", "600"], executable="/agent", env=env, preexec_fn=lambda: os.chroot(root))
    try:
        deadline = time.monotonic() + PATIENCE_S
        while Path(f"/proc/{process.pid}/comm").read_text() != "agent\n":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    need(os.geteuid() == 0, "root, for chroot")
    need(BUSYBOX.exists(), "busybox-static")
    made = tmp_path / "root"
    for name in (f"{OWN_PLUGINS}/vpc-eni", f"{OWN_PLUGINS}/vpc-branch-eni", "/data/eni-ledger/bundle/eni-ledger"):
        path = made / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    (made / PLUGINS[1:]).mkdir()
    for name in ("vpc-eni", "vpc-branch-eni"):
        (made / PLUGINS[1:] / name).symlink_to("../bundle/eni-ledger")
    return made


def test_a_host_without_ecs_has_nothing_that_fails(tmp_path: Path) -> None:
    need(not Path("/var/lib/ecs").exists(), "a host without the ECS agent")
    code, found = doctor(tmp_path / "state")
    assert code == 0
    assert found["interposed"]["status"] == "skipped"
    assert not (tmp_path / "state").exists()


def test_the_running_agent_is_looked_at(root: Path, tmp_path: Path) -> None:
    with agent(root, ECS_CNI_PLUGINS_PATH=PLUGINS, ECS_ENABLE_TASK_ENI="true") as pid:
        _, found = doctor(tmp_path / "state")
        assert {name: found[name]["status"] for name in ("agent-configuration", "interposed", "delegates")} == {
            "agent-configuration": "ok",
            "interposed": "ok",
            "delegates": "ok",
        }
        assert f"process {pid}" in found["interposed"]["message"]
        (root / OWN_PLUGINS[1:] / "vpc-eni").unlink()
        code, found = doctor(tmp_path / "state")
        assert (code, found["delegates"]["status"]) == (1, "fail")


def test_an_agent_with_its_own_plugins(root: Path, tmp_path: Path) -> None:
    with agent(root, ECS_ENABLE_TASK_ENI="false"):
        code, found = doctor(tmp_path / "state")
    assert code == 1
    assert found["agent-configuration"]["status"] == "fail"
    assert (found["interposed"]["status"], found["interposed"]["hint"]) == ("fail", "eni-ledger install ecs")
