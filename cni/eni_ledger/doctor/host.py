"""The host as the doctor's checks see it, each part read once; the type of their findings."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from shlex import quote
from typing import TYPE_CHECKING, Any

from eni_ledger.base import minijson
from eni_ledger.base.config import Settings
from eni_ledger.base.errors import LedgerError, StateDirError
from eni_ledger.identity import bolt
from eni_ledger.install import env_file, layout, runtimes
from eni_ledger.install.agent_process import Process
from eni_ledger.install.ecs_agent import Agent
from eni_ledger.install.tree import Tree
from eni_ledger.ledger.format.directory import open_state_dir
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read.origin import Copy, copied
from eni_ledger.ledger.write import spool

if TYPE_CHECKING:
    from eni_ledger.base.events import Association
    from eni_ledger.kernel.scan import Scan


OK, WARN, FAIL, SKIPPED = "ok", "warn", "fail", "skipped"


NO_LEDGER = "there is no ledger yet; the first ADD makes it"


@dataclass(slots=True)
class Finding:
    """The result of one check: its `name`, `status`, a sentence, and a `hint` on what to do unless it is ok."""

    name: str
    status: str
    message: str
    hint: str = ""


class Paths:
    """Paths on the host. `root` is `/` except in tests; `proc` is below it as well."""

    def __init__(self, root: str = "/") -> None:
        self.tree = Tree(root)

    def of(self, path: str) -> str:
        """Return the real path of a host path."""
        return self.tree.real(path)

    @property
    def proc(self) -> str:
        """Return the mount point of proc(5)."""
        return self.of("/proc")

    @property
    def agent_log(self) -> str:
        """Return the path of the plugins' log."""
        return self.of("/var/log/ecs/vpc-branch-eni.log")

    @property
    def agent_db(self) -> str:
        """Return the path of the agent's database."""
        return self.of(f"{layout.AGENT_DATA}/agent.db")


class Host:
    """What several checks look at, each looked up once."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        conf_dirs: Sequence[str] | None = None,
        configured: str | None = None,
    ) -> None:
        self.settings = settings
        self.configured = configured or settings.state_dir
        self.paths = paths
        self._conf_dirs = conf_dirs

    @cached_property
    def conf_dirs(self) -> Sequence[str]:
        """Return where network configurations are: as given, else where the runtimes read them. Raises OSError."""
        return self._conf_dirs or runtimes.conf_dirs(self.paths.tree)

    @property
    def history(self) -> History:
        """Return the ledger."""
        return History(self.settings.state_dir)

    @cached_property
    def copy(self) -> Copy | None:
        """Return whose copy the ledger is, None when it is this host's, or cannot be read. Raises OSError."""
        try:
            return copied(self.settings.state_dir, self.configured)
        except LedgerError:
            return None

    def of_another(self, name: str) -> Finding | None:
        """Return the finding of the check `name` when it asks this host about a copy of another's ledger, else None."""
        return Finding(name, SKIPPED, f"the ledger is a copy, {self.copy.words()}") if self.copy else None

    def command(self, words: str) -> str:
        """Return the command line, for this ledger; of a copy, where it has to be run."""
        if self.copy and not words.startswith("fsck"):
            return f"eni-ledger {words} on {self.copy.instance_id or 'the host that it is of'}"
        path = self.settings.state_dir
        return f"eni-ledger {words}{'' if path == self.configured else f' --state-dir {quote(path)}'}"

    @cached_property
    def agents(self) -> Agent:
        """Return the view of the processes here."""
        return Agent(self.paths.proc, data=self.paths.of(layout.AGENT_DATA))

    @cached_property
    def _candidates(self) -> list[Process]:
        return [process for process in self.agents.processes() if process.is_candidate]

    @property
    def agent(self) -> Process | None:
        """Return the running agent of this host, None when there is none."""
        return next((process for process in self._candidates if process.belongs), None)

    @property
    def other_agent(self) -> Process | None:
        """Return an agent whose /data is not this host's data directory, None when there is none."""
        return next((process for process in self._candidates if not process.belongs), None)

    @property
    def agent_hidden(self) -> bool:
        """Return whether a process may be the agent and does not let us see: then nothing can be said of it."""
        return self.agent is None and self.agents.hidden

    @cached_property
    def has_ecs(self) -> bool:
        """Return whether this is a host of the ECS agent."""
        return bool(self._candidates) or os.path.isdir(self.paths.of(layout.AGENT_DATA))

    @property
    def agent_env(self) -> dict[str, str]:
        """Return the environment of the running agent, empty when it does not run."""
        return self.agent.env if self.agent is not None else {}

    @cached_property
    def agent_file(self) -> dict[str, str]:
        """Return what the agent's configuration files set. Raises OSError, InstallError."""
        return self._file(layout.INSTANCE_CONFIG) | self._file(layout.ECS_CONFIG)

    def set_in(self, key: str) -> str:
        """Return the configuration file that sets `key` for the agent, or the one in which it can be set."""
        instance = key in self._file(layout.INSTANCE_CONFIG) and key not in self._file(layout.ECS_CONFIG)
        return layout.INSTANCE_CONFIG if instance else layout.ECS_CONFIG

    def _file(self, path: str) -> dict[str, str]:
        return env_file.variables(self.paths.tree.read(path) or b"")

    @cached_property
    def live(self) -> list[Association]:
        """Return the live associations. Raises LedgerError, OSError; StateDirError when there is no ledger."""
        return self.history.live()

    def no_ledger(self, name: str) -> Finding | None:
        """Return the finding of the check `name` when the ledger it asks cannot be looked at, else None."""
        path = self.settings.state_dir
        try:
            os.close(open_state_dir(path, reading=self.copy is not None))
        except StateDirError as exc:
            match exc.__cause__:
                case FileNotFoundError():
                    return Finding(name, SKIPPED, f"{path}: {NO_LEDGER}")
                case PermissionError():
                    return hidden(name, path)
                case _:
                    return Finding(name, FAIL, str(exc), exc.hint)
        return None

    @cached_property
    def spooled(self) -> int:
        """Return how many events wait in the spool; 0 when there is no ledger. Raises OSError, StateDirError."""
        try:
            dir_fd = open_state_dir(self.settings.state_dir, reading=True)
        except StateDirError as exc:
            if isinstance(exc.__cause__, FileNotFoundError):
                return 0
            raise
        try:
            return len(spool.waiting(dir_fd))
        finally:
            os.close(dir_fd)

    @cached_property
    def scan(self) -> Scan:
        """Return what the kernel has. Raises OSError."""
        from eni_ledger.kernel import scan  # loads pyroute2, which `doctor --help` does without

        mounts = [self.paths.of(path) for path in scan.MOUNTS]
        return scan.scan(self.paths.proc, mounts)

    def agent_objects(self, bucket: str) -> list[dict[str, Any]]:
        """Return what a bucket of agent.db holds. Raises OSError, bolt.Unreadable."""

        def read(snapshot: bolt.ReadTransaction) -> list[dict[str, Any]]:
            page = snapshot.buckets().get(bucket.encode())
            values = [minijson.loads(value) for _, value in snapshot.items(page)] if page else []
            return [value for value in values if isinstance(value, dict)]

        return bolt.view(self.paths.agent_db, bolt.within(2.0), read)


Check = Callable[[Host], Finding]


def hidden(name: str, path: str) -> Finding:
    """Return the finding of a check that may not look at `path`: nothing is claimed of what was not seen."""
    return Finding(name, SKIPPED, f"{path} cannot be read (Permission denied); run it as root", "run it as root")
