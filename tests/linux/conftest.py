from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from helpers import dockerd
from helpers.prereq import need
from helpers.trunk import Pause

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def namespaces() -> None:
    """Need root and the tools that make network namespaces."""
    need(os.geteuid() == 0, "root, for mounts and network namespaces")
    need(all(map(shutil.which, ("ip", "nsenter", "unshare"))), "ip (iproute2), nsenter and unshare")


@pytest.fixture
def pause(namespaces: None) -> Iterator[Pause]:
    with Pause() as made:
        yield made


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dockerd.Engine]:
    need(os.geteuid() == 0, "root, for dockerd")
    need(not dockerd.missing(), f"{dockerd.missing()}, for a Docker engine")
    need(dockerd.BUSYBOX.exists(), "busybox-static")
    with dockerd.Engine(tmp_path_factory.mktemp("docker")) as made:
        yield made
