"""The running agent, as /proc and systemd show it: which plugin directory it uses, and having it start again."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from eni_ledger.ecs.layout import KEY, RESTART, same_path
from eni_ledger.errors import InstallError
from eni_ledger.plugin.front import original_environment

_STATUS = ("systemctl", "is-active", "--quiet", "ecs")
# systemd stops the agent with a grace of its own, and the agent's image may have to be loaded first.
_PATIENCE = 180.0
_POLL = 0.25


class Process:
    """A process that has the agent's setting: its number, its name (`comm`), and the plugin directory it was given."""

    def __init__(self, pid: int, name: str, plugin_path: str | None) -> None:
        self.pid = pid
        self.name = name
        self.plugin_path = plugin_path


class Agent:
    """The agent of a host. `proc` is where proc(5) is mounted; `run` executes a command and returns its status."""

    def __init__(self, proc: str = "/proc", run: Callable[[Sequence[str]], int] | None = None) -> None:
        self.proc = proc
        self._run = run or _execute

    def processes(self) -> list[Process]:
        """Return the agent itself (a process of the name `agent` that has ECS_* variables) and whoever shares its path.

        Those are amazon-ecs-init, the container's init and plugins at work: all of them go with the agent.
        """
        found = []
        for name in os.listdir(self.proc):
            if not name.isdecimal():
                continue
            try:
                with open(f"{self.proc}/{name}/environ", "rb") as file:
                    env = file.read().split(b"\0")
                with open(f"{self.proc}/{name}/comm", "rb") as file:
                    comm = file.read().strip().decode("utf-8", "replace")
            except OSError:
                continue  # gone, or not ours to see
            prefix = KEY.encode() + b"="
            path = next((one[len(prefix) :] for one in env if one.startswith(prefix)), None)
            is_agent = comm == "agent" and any(one.startswith(b"ECS_") for one in env)
            if path is not None or is_agent:
                found.append(Process(int(name), comm, None if path is None else path.decode("utf-8", "replace")))
        return found

    def using(self, plugin_path: str) -> list[Process]:
        """Return the processes that call plugins in `plugin_path`."""
        own = os.getpid()
        return [one for one in self.processes() if same_path(one.plugin_path, plugin_path) and one.pid != own]

    def in_force(self, plugin_path: str) -> bool | None:
        """Tell whether the running agent calls plugins in `plugin_path`; None when no agent runs."""
        agents = [one for one in self.processes() if one.name == "agent"]
        return any(same_path(one.plugin_path, plugin_path) for one in agents) if agents else None

    def plugins(self, directory: str) -> list[str] | None:
        """Return the names in a directory of the running agent's image; None when no agent runs."""
        for one in self.processes():
            if one.name == "agent":
                try:
                    return sorted(os.listdir(f"{self.proc}/{one.pid}/root{directory}"))
                except OSError:
                    return []
        return None

    def restart(self) -> bool:
        """Restart the agent if it runs; return False when it does not, for it will read its configuration at its start.

        Starting it would be wrong: in user data the unit waits for cloud-init to end, and cloud-init for us.
        Raises InstallError.
        """
        if self._run(_STATUS) != 0:
            return False
        status = self._run(RESTART)
        if status != 0:
            raise InstallError(
                "the agent did not restart",
                f"{' '.join(RESTART)} ended with status {status}",
                "journalctl -u ecs says why",
            )
        return True

    def wait_for(self, plugin_path: str) -> bool:
        """Wait until an agent with `plugin_path` runs; return whether one does."""
        end = time.monotonic() + _PATIENCE
        while not self.in_force(plugin_path):
            if time.monotonic() > end:
                return False
            time.sleep(_POLL)
        return True


def _execute(command: Sequence[str]) -> int:
    try:
        return subprocess.run(
            command, env=original_environment(os.environ), stdout=subprocess.DEVNULL, timeout=_PATIENCE, check=False
        ).returncode
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise InstallError("systemctl cannot be run", str(exc), "restart the agent by hand") from exc
