"""A Docker engine of the test's own, with nothing in it but what the test makes."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Mapping

BUSYBOX = Path("/bin/busybox")
IMAGE = "eni-ledger.test/pause"


def missing() -> str:
    """Return which program is missing for it, empty when none is."""
    return next((name for name in ("dockerd", "docker", "containerd", "runc") if shutil.which(name) is None), "")


class Engine:
    """dockerd with its data in `directory`; use as a context manager. `socket` is where it listens."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "docker.sock"
        self._host_netns = directory / "exec/netns/default"
        self._log = (directory / "dockerd.log").open("w+")
        self._process = subprocess.Popen(
            [
                *("dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"),
                *(f"--data-root={directory}/root", f"--exec-root={directory}/exec", f"--pidfile={directory}/pid"),
                *(f"--host=unix://{self.socket}", "--log-level=warn"),
            ],
            stdout=self._log,
            stderr=self._log,
        )

    def __enter__(self) -> Engine:
        deadline = time.monotonic() + PATIENCE_S
        while subprocess.run(self._command("version"), capture_output=True, check=False).returncode != 0:
            self._log.flush()
            said = Path(self._log.name).read_text()[-2000:]
            assert self._process.poll() is None, f"dockerd ended: {said}"
            assert time.monotonic() < deadline, f"dockerd does not answer: {said}"
            time.sleep(0.2)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(BUSYBOX, "busybox")
        subprocess.run(self._command("import", "-", IMAGE), input=packed.getvalue(), capture_output=True, check=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._log.close()
        if self._host_netns.exists():  # dockerd makes it for --net=host and leaves it mounted
            subprocess.run(["umount", self._host_netns], check=True)

    def _command(self, *words: str) -> list[str]:
        return ["docker", f"--host=unix://{self.socket}", *words]

    def call(self, *words: str) -> str:
        """Return what a docker command printed; the test fails when it does."""
        done = subprocess.run(self._command(*words), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, f"docker {words}: {done.stderr}"
        return done.stdout.strip()

    def start(self, labels: Mapping[str, str], *options: str) -> tuple[str, int]:
        """Start a container that does nothing, in a network namespace of its own; return its ID and its process.

        `options` are further ones of `docker run`, `--network` another network.
        """
        network = () if any(option.startswith("--network=") for option in options) else ("--network=none",)
        words = [*network, *(f"--label={name}={value}" for name, value in labels.items()), *options]
        container = self.call("run", "--detach", *words, IMAGE, "/busybox", "sleep", "3600")
        return container, int(self.call("inspect", "--format={{.State.Pid}}", container))

    def remove(self, container: str) -> None:
        """Take a container away."""
        self.call("rm", "--force", container)
