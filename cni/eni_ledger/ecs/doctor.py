"""Is everything as it should be? One finding for each question, from what this host shows. Changes nothing.

Every check stands alone: what keeps one from looking is its finding, and the others go on. On a host without the ECS
agent the questions about it are skipped with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

from eni_ledger import fastjson
from eni_ledger.config import Settings
from eni_ledger.ecs import layout
from eni_ledger.ecs.agent import Agent
from eni_ledger.ecs.files import Tree
from eni_ledger.errors import EniLedgerError, StateDirError
from eni_ledger.identity import bolt
from eni_ledger.ledger.history import History

if TYPE_CHECKING:
    from eni_ledger.kernel.scan import Scan

OK, WARN, FAIL, SKIPPED = "ok", "warn", "fail", "skipped"


@dataclass(slots=True)
class Finding:
    """The answer to one question: `name` of the check, `status`, a sentence, and for what is not ok what to do."""

    name: str
    status: str
    message: str
    hint: str = ""


class Paths:
    """Where things are on the host. `root` is `/` but for tests; `proc` is below it too."""

    def __init__(self, root: str = "/") -> None:
        self._tree = Tree(root)

    def of(self, path: str) -> str:
        """Return where a path of the host is."""
        return self._tree.real(path)

    @property
    def proc(self) -> str:
        """Return where proc(5) is."""
        return self.of("/proc")

    @property
    def agent_log(self) -> str:
        """Return the name of the plugins' log."""
        return self.of("/var/log/ecs/vpc-branch-eni.log")

    @property
    def agent_db(self) -> str:
        """Return where the agent keeps its state."""
        return self.of(f"{layout.AGENT_DATA}/agent.db")


class Host:
    """What several checks look at, each looked up once."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self.settings = settings
        self.paths = paths

    @property
    def history(self) -> History:
        """Return the ledger."""
        return History(self.settings.state_dir)

    @cached_property
    def agent_pid(self) -> int | None:
        """Return the process of the running agent, None when there is none."""
        return next((one.pid for one in Agent(self.paths.proc).processes() if one.name == "agent"), None)

    @cached_property
    def has_ecs(self) -> bool:
        """Return whether this is a host of the ECS agent."""
        return self.agent_pid is not None or os.path.isdir(self.paths.of(layout.AGENT_DATA))

    @cached_property
    def agent_env(self) -> dict[str, str]:
        """Return the environment of the running agent, empty when it does not run or may not be looked at."""
        try:
            with open(f"{self.paths.proc}/{self.agent_pid}/environ", "rb") as file:
                pairs = (entry.partition("=") for entry in file.read().decode("utf-8", "replace").split("\0"))
                return {name: value for name, equals, value in pairs if equals}
        except OSError:
            return {}

    @cached_property
    def agent_file(self) -> dict[str, str]:
        """Return what the agent's configuration files set."""
        found: dict[str, str] = {}
        for path in (layout.INSTANCE_CONFIG, layout.ECS_CONFIG):
            try:
                with open(self.paths.of(path), encoding="utf-8", errors="replace") as file:
                    lines = [line.strip() for line in file]
            except OSError:
                continue
            pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
            found |= {name.strip(): value.strip().strip("\"'") for name, equals, value in pairs if equals}
        return found

    @cached_property
    def live(self) -> list[dict[str, Any]]:
        """Return the live associations, none without a ledger. Raises LedgerError."""
        try:
            return self.history.live()
        except StateDirError:
            return []

    @cached_property
    def scan(self) -> Scan:
        """Return what the kernel has. Raises OSError."""
        from eni_ledger.kernel import scan

        mounts = [self.paths.of(path) for path in scan.MOUNTS]
        return scan.scan(self.paths.proc, mounts)

    def agent_objects(self, bucket: str) -> list[dict[str, Any]]:
        """Return what a bucket of agent.db holds. Raises OSError, bolt.Unreadable."""

        def read(snapshot: bolt.Snapshot) -> list[dict[str, Any]]:
            found = snapshot.buckets().get(bucket.encode())
            values = [fastjson.loads(value) for _, value in snapshot.items(found)] if found else []
            return [value for value in values if isinstance(value, dict)]

        return bolt.view(self.paths.agent_db, monotonic() + 2.0, read)


Check = Callable[[Host], Finding]


def examine(settings: Settings, paths: Paths | None = None) -> list[Finding]:
    """Return the findings, in the order in which one thing rests on another. Raises nothing for what is amiss."""
    from eni_ledger.ecs import doctor_agent, doctor_ledger

    host = Host(settings, paths or Paths())
    return [_run(check, host) for check in (*doctor_agent.CHECKS, *doctor_ledger.CHECKS)]


def _run(check: Check, host: Host) -> Finding:
    name = check.__name__.replace("_", "-")
    try:
        return check(host)
    except PermissionError as exc:
        return Finding(name, SKIPPED, f"may not be looked at: {exc.filename or exc.strerror}", "run it as root")
    except EniLedgerError as exc:
        return Finding(name, FAIL, str(exc), exc.hint)
    except (OSError, ValueError, bolt.Unreadable) as exc:
        return Finding(name, WARN, f"cannot be found out: {exc}")
