"""The agent's database as a source of `identify`: see `agent_db` for what it holds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from eni_ledger.identity import agent_db
from eni_ledger.identity.sources import TASK, Fields, Unavailable

PATHS = (agent_db.HOST_PATH, agent_db.CONTAINER_PATH)
_GIVES = ("eni_id", *TASK)


class AgentDb:
    """`agent.db`, where the host or the agent's container has it. Each question reads the file anew."""

    name = "agent-db"
    gives = frozenset(_GIVES)
    past = True

    def __init__(self, paths: Sequence[str] = PATHS, timeout_s: float = 2.0) -> None:
        self._paths = list(dict.fromkeys(paths))
        self._timeout_s = timeout_s
        self._path = ""

    def ask(self, association: dict[str, Any]) -> Fields:
        """Return ENI and task of the association's MAC. Raises Unavailable when the file cannot be read."""
        path = self._found()
        found: Mapping[str, Any] | None
        if "until" in association:
            found = self._ended(path, association)
        else:
            found = agent_db.lookup(
                path,
                str(association.get("branch_mac") or ""),
                self._timeout_s,
                vlan_id=association.get("vlan_id"),
                addresses=association.get("addresses") or (),
            )
        return {key: value for key, value in (found or {}).items() if key in _GIVES}

    def _found(self) -> str:
        """Return the path of the database, read once to know that it can be."""
        if not self._path:
            path = next((path for path in self._paths if os.path.exists(path)), None)  # noqa: PTH110 - plain paths
            if path is None:
                raise Unavailable("there is no agent.db", ", ".join(self._paths), "run it on an ECS container instance")
            problem = agent_db.problem(path, self._timeout_s)
            if problem:
                raise Unavailable("agent.db cannot be read", f"{path}: {problem}", "run it as root; try again")
            self._path = path
        return self._path

    def _ended(self, path: str, association: dict[str, Any]) -> dict[str, Any] | None:
        """Return the one task of the file that fits what has ended: its MAC may have been given out again since."""
        mac, vlan = association.get("branch_mac"), association.get("vlan_id")
        told = {str(address).partition("/")[0] for address in association.get("addresses") or ()}
        fitting = [
            dict(task)
            for task in agent_db.tasks(path, self._timeout_s) or ()
            if mac
            and task.get("branch_mac") == mac
            and not (vlan and task.get("vlan_id", vlan) != vlan)
            and not (told and task.get("addresses") and told.isdisjoint(task["addresses"]))
        ]
        return fitting[0] if len(fitting) == 1 else None
