"""What Docker says now about the containers of an association."""

from __future__ import annotations

from typing import Any

from eni_ledger.base.host import DOCKER_SOCKET
from eni_ledger.identity.docker import DockerSource
from eni_ledger.identity.source import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields


class DockerFacts:
    """Docker on the socket `path`, asked about one association at a time; not any more once it does not answer.

    `unavailable` says why it does not answer; empty while it does, and where there is no Docker.
    """

    def __init__(self, path: str = DOCKER_SOCKET) -> None:
        self._docker = DockerSource(path)
        self._asked = True
        self.unavailable = ""

    def __call__(self, association: Fields) -> dict[str, Any]:
        """Return task, names and `containers` of an association; nothing for a container that Docker does not have."""
        if not self._asked:
            return {}
        try:
            known = dict(self._docker.ask(association))
        except Unavailable as exc:
            self._asked, self.unavailable = False, "" if exc.absent else str(exc)
            return {}
        if known:
            known.setdefault("containers", [])
            known["from"] = "docker"
        return known
