"""A container that the ledger does not know, looked up in Docker: whose network does it use?

Only for `who`, on the host itself and as root. The containers of a task are recorded by `identify`, minutes after they
are made; Docker knows them at once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from eni_ledger.base.host import DOCKER_SOCKET

if TYPE_CHECKING:
    from eni_ledger.identity.docker import Sharer

TIMEOUT_S = 0.5


def sharer(text: str) -> Sharer | None:
    """Return the container with this name, ID or start of an ID; None for none, or if Docker cannot be asked."""
    if os.geteuid() != 0:
        return None
    from eni_ledger.identity.docker import DockerSource  # with its HTTP client only for a name that nothing has
    from eni_ledger.identity.source import Unavailable

    try:
        return DockerSource(DOCKER_SOCKET, TIMEOUT_S, versioned=False).sharer(text)
    except Unavailable:
        return None
