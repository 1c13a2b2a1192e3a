"""The running ECS agent, from /proc and systemd: which plugin directory it uses, and how to restart it."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from eni_ledger.base.errors import InstallError
from eni_ledger.base.runtime import original_environment
from eni_ledger.install import agent_process
from eni_ledger.install.agent_process import Process
from eni_ledger.install.layout import AGENT_DATA, DATA_IN_CONTAINER, PLUGIN_PATH, RESTART, same_path
from eni_ledger.install.process_root import Root

_STATUS = ("systemctl", "is-active", "--quiet", "ecs")
# seconds; systemd grants the agent time to stop, and its image may have to be loaded first
_PATIENCE = 180.0
_POLL = 0.25


class Agent:
    """The agent of a host.

    `proc` is where proc(5) is mounted, `data` the host's data directory of the agent; `run` executes a command and
    returns its status.
    """

    def __init__(
        self, proc: str = "/proc", run: Callable[[Sequence[str]], int] | None = None, data: str = AGENT_DATA
    ) -> None:
        self.proc = proc
        self.data = data
        self.hidden = False
        self._run = run or execute

    def processes(self) -> list[Process]:
        """Return every ECS agent on this host, and the init and running plugins of this installation's container.

        Sets `hidden` when a process may be the agent and cannot be inspected.
        """
        processes = []
        self.hidden = False
        for name in os.listdir(self.proc):
            if not name.isdecimal():
                continue
            try:
                with agent_process.opened(self.proc, int(name)) as fd:
                    process = self._read_process(fd, int(name))
            except PermissionError:
                self.hidden = True
                continue
            except (OSError, ValueError, IndexError):
                continue  # it has ended
            if process is not None:
                processes.append(process)
        return processes

    def _read_process(self, proc_fd: int, pid: int) -> Process | None:
        try:
            data = os.stat(self.data)
        except OSError:
            data = None
        return agent_process.read_process(proc_fd, pid, data)

    def ours(self) -> list[Process]:
        """Return the agents of this installation: two during a takeover, else at most one."""
        return [process for process in self.processes() if process.is_candidate and process.belongs]

    def others(self) -> list[Process]:
        """Return the agents whose /data is not this host's data directory."""
        return [process for process in self.processes() if process.is_candidate and not process.belongs]

    @contextmanager
    def root_of(self, process: Process) -> Iterator[Root]:
        """Open the root directory of a process that `processes` returned. Raises OSError, also when it has ended."""
        with agent_process.opened(self.proc, process.pid) as fd:
            if self._read_process(fd, process.pid) != process:
                raise FileNotFoundError(errno.ENOENT, "the process has ended", f"{self.proc}/{process.pid}")
            with Root.of_process(fd) as root:
                yield root

    def using(self, plugin_path: str) -> list[Process]:
        """Return the processes of this installation that call plugins in `plugin_path`: the agent, a plugin at work."""
        own = os.getpid()
        processes = [process for process in self.processes() if process.belongs and process.pid != own]
        return [process for process in processes if same_path(process.plugin_path, plugin_path)]

    def is_effective(self, plugin_path: str) -> bool | None:
        """Tell whether the running agent calls plugins in `plugin_path`; None when no agent runs."""
        agents = self.ours()
        return any(same_path(agent.plugin_path, plugin_path) for agent in agents) if agents else None

    def plugins(self, directory: str) -> list[str] | None:
        """Return the names in a directory of the running agent's image; None when no agent runs."""
        for agent in self.ours():
            try:
                with self.root_of(agent) as root:
                    return root.names(directory)
            except OSError:
                return []
        return None

    def is_active(self, unit: str) -> bool:
        """Tell whether systemd has a unit started. Raises InstallError when systemd cannot be asked."""
        return self._run(("systemctl", "is-active", "--quiet", unit)) == 0

    def restart(self) -> bool:
        """Restart the agent if it runs; return False if it does not run, since it reads its configuration at start.

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
        """Wait at most `_PATIENCE` for an agent with `plugin_path`; return whether one runs."""
        end = time.monotonic() + _PATIENCE
        while not self.is_effective(plugin_path):
            if time.monotonic() > end:
                return False
            time.sleep(_POLL)
        return True


def refusal(agent: Process) -> InstallError:
    """Return the error for an agent whose /data is not this host's data directory, naming the process."""
    who = f"{agent.name} (PID {agent.pid})"
    if agent.outside:
        return InstallError(
            "the ECS agent runs outside of a container",
            f"{who} has this host's own root directory, in which {PLUGIN_PATH} is not what `install ecs` makes",
            "eni-ledger stands in front of an agent that runs in a container, as ecs-init starts it",
        )
    return InstallError(
        "an ECS agent with another data directory runs on this host; after a restart it would find no plugin",
        f"{who} has {agent.data or 'no directory of this host'} at {DATA_IN_CONTAINER}, not {AGENT_DATA}",
        f"start it with --volume={AGENT_DATA}:{DATA_IN_CONTAINER}, as ecs-init does, or stop it",
    )


def execute(command: Sequence[str]) -> int:
    """Run a systemd command and return its exit status. Raises InstallError when it cannot be run."""
    try:
        return subprocess.run(
            command, env=original_environment(os.environ), stdout=subprocess.DEVNULL, timeout=_PATIENCE, check=False
        ).returncode
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise InstallError("systemctl cannot be run", str(exc), "restart the agent by hand") from exc
