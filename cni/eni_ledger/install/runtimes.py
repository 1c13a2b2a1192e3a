"""The CNI runtimes of a host: where each reads network configurations, and where it looks for plugins.

Source: containerd, `internal/cri/config` and `docs/cri/config.md` (config.toml of versions 1 to 3, `imports`;
`bin_dirs` since 2.1); nerdctl, `pkg/defaults/defaults_linux.go` and `docs/config.md`; CRI-O, `pkg/config` (crio.conf
and its drop-ins); podman, containers.conf(5) and, for the backend it chose, `defaultNetworkBackend` in its storage.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from eni_ledger.install.conflist_search import CONF_DIR
from eni_ledger.install.tree import Tree

#: The directory of the CNI specification's examples, the default of containerd and CRI-O.
BIN_DIR = "/opt/cni/bin"
#: nerdctl takes the first of these that exists.
NERDCTL_DIRS = (BIN_DIR, "/usr/local/libexec/cni", "/usr/local/lib/cni", "/usr/libexec/cni", "/usr/lib/cni")
_PODMAN_DIRS = ("/usr/local/libexec/cni", "/usr/libexec/cni", "/usr/local/lib/cni", "/usr/lib/cni", BIN_DIR)

_CONTAINERD = "/etc/containerd/config.toml"
_NERDCTL = "/etc/nerdctl/nerdctl.toml"
_CRIO = ("/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*")
_PODMAN = (
    "/usr/share/containers/containers.conf",
    "/etc/containers/containers.conf",
    "/etc/containers/containers.conf.d/*.conf",
)
# Debian's own containerd, unless configured, searches /usr/lib/cni in 1.7.24 (Debian 13) and BIN_DIR in 1.6.20 (Debian
# 12): `containerd config default`. containerd.io, which Docker packages, and Ubuntu's have the default of upstream.
_DPKG_STATUS = "/var/lib/dpkg/status"
_DEBIANS_CONTAINERD = re.compile(rb"^Package: containerd\n(?:.+\n)*?Version: (\d+)\.(\d+)\.\d+~ds", re.MULTILINE)
_PODMAN_BACKEND = "/var/lib/containers/storage/defaultNetworkBackend"
_PATH = ("/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin")
# Of config.toml, the table that `cni` is in: version 3, version 2, version 1.
_CRI = ("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "cri")
_IMPORTS_MAX = 100


@dataclass(slots=True)
class Runtime:
    """A runtime and the directories that it searches, in order; `source` is the file that sets them, or the program.

    `problem` is why its configuration cannot be read; then there are no directories.
    """

    name: str
    source: str
    bin_dirs: list[str] = field(default_factory=list)
    conf_dirs: list[str] = field(default_factory=lambda: [CONF_DIR])
    problem: str = ""

    def reads(self, path: str) -> bool:
        """Tell whether it reads the network configuration at `path`; nerdctl has a subdirectory for each namespace."""
        directory = path.rpartition("/")[0]
        above = directory.rpartition("/")[0] if self.name == "nerdctl" else directory
        return any(conf_dir in (directory, above) for conf_dir in self.conf_dirs)

    def __str__(self) -> str:
        """Return the runtime with its plugin directories, as messages name it."""
        return f"{self.name} ({self.source}) looks for plugins in {', '.join(self.bin_dirs)}"


class _Unreadable(Exception):
    """A configuration cannot be parsed."""


def find(tree: Tree) -> list[Runtime]:
    """Return the runtimes that are installed or configured here. Raises OSError for a path that may not be read."""
    runtimes = []
    for make in (_containerd, _nerdctl, _crio, _podman):
        try:
            runtime = make(tree)
        except _Unreadable as exc:
            runtime = Runtime(make.__name__.strip("_"), "", conf_dirs=[], problem=str(exc))
        if runtime is not None:
            runtimes.append(runtime)
    return runtimes


def conf_dirs(tree: Tree) -> list[str]:
    """Return every directory in which a runtime of this host reads network configurations. Raises OSError."""
    return list(dict.fromkeys([CONF_DIR, *(directory for runtime in find(tree) for directory in runtime.conf_dirs)]))


def _containerd(tree: Tree) -> Runtime | None:
    program = _program(tree, "containerd")
    if not (program or tree.exists(_CONTAINERD)):
        return None
    default = _containerd_default(tree)
    bin_dirs, directory, more, off, version = [default], CONF_DIR, list[str](), False, None
    for _, config in _with_imports(tree, _CONTAINERD):
        version = version or config.get("version", 1)
        disabled = _texts(config.get("disabled_plugins"))
        off = off or any(name in disabled for name in _CRI)
        cri = next((table for name in _CRI if (table := _table(config, "plugins", name))), {})
        if cri and version in (1, 2):  # containerd 1: an imported file replaces a plugin's whole table
            bin_dirs, directory, more = [default], CONF_DIR, []
        cni = _table(cri, "cni")
        bin_dirs = _dirs(cni.get("bin_dirs")) or _dirs(cni.get("bin_dir")) or bin_dirs
        directory = next(iter(_dirs(cni.get("conf_dir"))), directory)
        for runtime in _table(cri, "containerd", "runtimes").values():
            more += _dirs(runtime.get("cni_conf_dir") if isinstance(runtime, dict) else None)
    source = _CONTAINERD if tree.exists(_CONTAINERD) else str(program)
    # Without its CRI plugin, as Docker ships it, containerd calls no CNI plugin.
    return None if off else Runtime("containerd", source, bin_dirs, [directory, *more])


def _containerd_default(tree: Tree) -> str:
    """Return the directory of plugins of a containerd whose configuration names none."""
    of_debian = _DEBIANS_CONTAINERD.search(tree.read(_DPKG_STATUS) or b"")
    if of_debian and (int(of_debian[1]), int(of_debian[2])) >= (1, 7):
        return "/usr/lib/cni"
    return BIN_DIR


def _nerdctl(tree: Tree) -> Runtime | None:
    program = _program(tree, "nerdctl")
    if not (program or tree.exists(_NERDCTL)):
        return None
    config = next((config for _, config in _files(tree, [_NERDCTL])), {})
    first = next((directory for directory in NERDCTL_DIRS if tree.exists(directory)), BIN_DIR)
    configured = _dirs(config.get("cni_path"))
    return Runtime(
        "nerdctl",
        _NERDCTL if configured else f"{program or _NERDCTL}, the first directory that exists",
        configured or [first],
        _dirs(config.get("cni_netconfpath")) or [CONF_DIR],
    )


def _crio(tree: Tree) -> Runtime | None:
    program = _program(tree, "crio")
    files = list(_files(tree, _CRIO))
    if not (program or files):
        return None
    runtime = Runtime("CRI-O", str(program or files[-1][0]), [BIN_DIR])
    for path, config in files:
        network = _table(config, "crio", "network")
        if dirs := [*_dirs(network.get("plugin_dirs")), *_dirs(network.get("plugin_dir"))]:
            runtime.bin_dirs, runtime.source = dirs, path
        runtime.conf_dirs = _dirs(network.get("network_dir")) or runtime.conf_dirs
    return runtime


def _podman(tree: Tree) -> Runtime | None:
    program = _program(tree, "podman")
    if not program:  # containers.conf exists for other programs too
        return None
    runtime = Runtime("podman", program, list(_PODMAN_DIRS))
    backend = (tree.read(_PODMAN_BACKEND) or b"").decode("utf-8", "replace").strip()
    for path, config in _files(tree, _PODMAN):
        network = _table(config, "network")
        backend = str(network.get("network_backend") or backend)
        if dirs := _dirs(network.get("cni_plugin_dirs")):
            runtime.bin_dirs, runtime.source = dirs, path
        runtime.conf_dirs = _dirs(network.get("network_config_dir")) or runtime.conf_dirs
    return None if backend == "netavark" else runtime


def _program(tree: Tree, name: str) -> str | None:
    return next((path for directory in _PATH if tree.exists(path := f"{directory}/{name}")), None)


def _files(tree: Tree, patterns: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and content of each TOML file that matches; a later file overrides an earlier one."""
    for pattern in patterns:
        directory, _, name = pattern.rpartition("/")
        for path in [f"{directory}/{entry}" for entry in tree.names(directory) if fnmatchcase(entry, name)]:
            data = tree.read(path) if not tree.is_dir(path) else None
            if data is not None:
                try:
                    yield path, tomllib.loads(data.decode())
                except (ValueError, RecursionError) as exc:
                    raise _Unreadable(f"{path} is not TOML: {exc}") from exc


def _with_imports(tree: Tree, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a configuration of containerd and those that it imports, each once."""
    waiting, seen = [path], set[str]()
    while waiting and len(seen) < _IMPORTS_MAX:
        for name, config in _files(tree, [waiting.pop(0)]):
            if name not in seen:
                seen.add(name)
                yield name, config
                directory = name.rpartition("/")[0]
                imports = _texts(config.get("imports"))
                waiting += [imported if imported.startswith("/") else f"{directory}/{imported}" for imported in imports]


def _table(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        inner = table.get(key)
        if not isinstance(inner, dict):
            return {}
        table = inner
    return table


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _dirs(value: Any) -> list[str]:
    """Return the absolute paths in a setting that is a path or a list of paths."""
    texts = [value] if isinstance(value, str) else _texts(value)
    return [f"/{text.strip('/')}" for text in texts if text.startswith("/")]
