"""A containerd of one's own: private mounts, a private network, nothing of it left on the machine.

`ctr run --cni` reads its network from `/etc/cni/net.d` and its plugins from `/opt/cni/bin`, and has no option for
others; so it gets its own `/etc`, `/opt`, `/run` and `/var/lib`, which only it and what is run beside it can see.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

IMAGE = "eni-ledger.test/busybox:latest"
PLUGINS = Path("/usr/lib/cni")
BUSYBOX = Path("/bin/busybox")
_APPLETS = ("sh", "ip", "cat", "readlink", "sleep", "true")

# $1 is a directory for what has to outlive a command, $2 the executable under test.
_START = """set -e
mkdir "$1/etc"
cp -a /etc/. "$1/etc"
mount --bind "$1/etc" /etc
for each in /opt /run /var/lib; do mount -t tmpfs tmpfs $each; done
mkdir -p /etc/cni/net.d /opt/cni/bin
cp "$1"/*.conflist /etc/cni/net.d
ln -s /usr/lib/cni/* /opt/cni/bin
ln -sf "$2" /opt/cni/bin/eni-ledger
ip link set lo up
exec containerd --root /var/lib/containerd --state /run/containerd --address /run/containerd/containerd.sock \
  --log-level warn
"""


def image(path: Path) -> None:
    """Write an image of busybox, as `docker save` does, to `path`."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name in ("bin", "proc", "sys", "dev", "etc"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        tar.add(BUSYBOX.resolve(), "bin/busybox")
        for name in _APPLETS:
            info = tarfile.TarInfo(f"bin/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(info)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    config = {
        "architecture": machine.get(subprocess.check_output(["uname", "-m"], text=True).strip(), "amd64"),
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    files = {
        "layer.tar": layer.getvalue(),
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


class Containerd:
    """A running containerd with one network; use as a context manager.

    `directory` is for its files, `conflist` the network, `executable` what `eni-ledger` in it is.
    """

    def __init__(self, directory: Path, conflist: dict[str, Any], executable: Path) -> None:
        tools = [name for name in ("containerd", "ctr", "runc", "unshare", "nsenter", "ip") if not shutil.which(name)]
        need(not tools, f"containerd, ctr, runc, unshare, nsenter, ip (missing: {tools})")
        need(BUSYBOX.exists() and (PLUGINS / "bridge").exists(), "busybox-static and containernetworking-plugins")
        directory.mkdir()
        (directory / "10-test.conflist").write_text(json.dumps(conflist))
        image(directory / "image.tar")
        self._directory = directory
        self.namespace = f"eni-ledger-{os.getpid()}"
        self._log = (directory / "containerd.log").open("wb")
        unshare = ["unshare", "--mount", "--net", "--propagation", "private"]
        self._process = subprocess.Popen(
            [*unshare, "sh", "-c", _START, "sh", directory, executable.resolve()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while self.ctr("version").returncode != 0:
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.1)
            done = self.ctr("image", "import", "--snapshotter", "native", str(self._directory / "image.tar"))
            assert done.returncode == 0, done.stderr
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; its mounts and its network go with it. A container that failed to start is still there: it too."""
        if self._process.poll() is None:
            names = self.ctr("containers", "list", "--quiet").stdout.split()
            for name in names:
                self.ctr("tasks", "rm", "--force", name)
                self.ctr("containers", "rm", name)
            self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._log.close()
        for controller in ("", "*/"):  # runc leaves the parent of a container's control group
            for path in Path("/sys/fs/cgroup").glob(f"{controller}{self.namespace}"):
                path.rmdir()

    def log(self) -> str:
        """Return what containerd said."""
        return (self._directory / "containerd.log").read_text()

    def beside(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command in its mount and network namespaces and return what came of it."""
        pid = self._process.pid
        enter = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--net=/proc/{pid}/ns/net", "--"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `ctr` beside it and return what came of it."""
        options = ["--address", "/run/containerd/containerd.sock", "--namespace", self.namespace]
        return self.beside("ctr", *options, *arguments)

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a container with the network, wait for its end, and remove it: ADD and DEL.

        Its ID as CNI has it is `<namespace>-<name>`.
        """
        return self.ctr("run", "--rm", "--cni", "--snapshotter", "native", IMAGE, name, *command)
