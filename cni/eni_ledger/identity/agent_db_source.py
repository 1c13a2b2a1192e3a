"""The agent's database as a source of `identify`: see `agent_db` for what it holds."""

from __future__ import annotations

import os
from collections.abc import Sequence

from eni_ledger.identity import agent_db, bolt, containers
from eni_ledger.identity.source import ATTACHED, TASK, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

PATHS = (agent_db.HOST_PATH, agent_db.CONTAINER_PATH)
_GIVES = ("eni_id", *TASK, *ATTACHED)


class AgentDb:
    """`agent.db`, where the host or the agent's container has it. Each question reads the file anew."""

    name = "agent-db"
    gives = frozenset(_GIVES)
    past = True

    def __init__(self, paths: Sequence[str] = PATHS, timeout_s: float = 2.0) -> None:
        self._paths = list(dict.fromkeys(paths))
        self._timeout_s = timeout_s

    def ask(self, association: Fields) -> Fields:
        """Return ENI, task and containers of the association's MAC. Raises Unavailable when the file cannot be read.

        If the association has ended (has `until`), stopped tasks count too.
        """
        path = next((path for path in self._paths if os.path.exists(path)), None)  # noqa: PTH110 - plain paths
        if path is None:
            hint = "run it on an ECS container instance"
            raise Unavailable("there is no agent.db", ", ".join(self._paths), hint, absent=True)
        question = agent_db.Question(
            path,
            str(association.get("branch_mac") or ""),
            vlan_id=association.get("vlan_id"),
            addresses=association.get("addresses") or (),
            stopped="until" in association,
        )

        def read(snapshot: bolt.ReadTransaction) -> Fields:
            identity = question.find(snapshot) or {}
            arn = identity.get("task_arn")
            more = containers.of_task(snapshot, arn, str(association.get("container_id") or "")) if arn else {}
            return {**identity, **more}

        try:
            fields = bolt.view(path, bolt.within(self._timeout_s), read)
        except (OSError, ValueError, bolt.Unreadable) as exc:
            why = getattr(exc, "strerror", None) or str(exc)
            raise Unavailable("agent.db cannot be read", f"{path}: {why}", "run it as root; try again") from exc
        return {key: value for key, value in fields.items() if key in _GIVES}
