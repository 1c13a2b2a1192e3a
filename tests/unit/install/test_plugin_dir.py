"""Which directory the plugin goes into, on trees of hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from eni_ledger.base.errors import InstallError
from eni_ledger.install import plugin_dir
from eni_ledger.install.tree import Tree

PATH = "/etc/cni/net.d/10-x.conflist"
BRIDGE = ["bridge", "portmap"]


class Host:
    """A tree, made by plugins and files in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def plugins(self, directory: str, *names: str) -> Host:
        (self.root / directory[1:]).mkdir(parents=True, exist_ok=True)
        for name in names:
            (self.root / directory[1:] / name).write_text("")
        return self

    def file(self, path: str, text: str = "") -> Host:
        (self.root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path[1:]).write_text(text)
        return self

    def containerd(self, bin_dir: str) -> Host:
        table = '[plugins."io.containerd.grpc.v1.cri".cni]'
        return self.file("/etc/containerd/config.toml", f'version = 2\n{table}\nbin_dir = "{bin_dir}"\n')

    def choose(self, types: list[str], path: str | None = PATH) -> str:
        return plugin_dir.choose(Tree(str(self.root)), path, types)

    def refused(self, types: list[str], path: str | None = PATH) -> str:
        with pytest.raises(InstallError) as caught:
            self.choose(types, path)
        assert "--bin-dir" in caught.value.hint
        return f"{caught.value.msg}: {caught.value.details}"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "host").mkdir()
    return Host(tmp_path / "host")


@pytest.mark.parametrize("directory", ["/opt/cni/bin", "/usr/libexec/cni", "/usr/lib/cni", "/usr/local/lib/cni"])
def test_where_the_conflists_other_plugins_are(host: Host, directory: str) -> None:
    host.plugins("/opt/cni/bin", "cilium-cni").plugins(directory, *BRIDGE)
    assert host.choose(BRIDGE) == directory


def test_several_that_have_them(host: Host) -> None:
    host.plugins("/opt/cni/bin", *BRIDGE).plugins("/usr/lib/cni", *BRIDGE)
    assert host.refused(BRIDGE) == "there are several directories of plugins: /opt/cni/bin, /usr/lib/cni"
    host.containerd("/usr/lib/cni")
    assert host.choose(BRIDGE) == "/usr/lib/cni"


def test_two_names_of_one_directory(host: Host) -> None:
    host.plugins("/usr/lib/cni", *BRIDGE)
    (host.root / "opt/cni").mkdir(parents=True)
    (host.root / "opt/cni/bin").symlink_to("/usr/lib/cni")
    assert host.choose(BRIDGE) == "/opt/cni/bin"
    host.containerd("/usr/lib/cni").file("/usr/bin/nerdctl")
    assert host.choose(BRIDGE) == "/usr/lib/cni"


def test_none_that_has_them(host: Host) -> None:
    host.plugins("/opt/cni/bin", "bridge")
    assert host.refused(BRIDGE).startswith(
        "no directory of plugins holds what the conflist calls: bridge, portmap: /opt/"
    )


def test_where_the_runtime_does_not_look(host: Host) -> None:
    host.plugins("/opt/cni/bin", *BRIDGE).plugins("/usr/lib/cni", "loopback").containerd("/usr/lib/cni")
    assert "looks for plugins in /usr/lib/cni, which lacks bridge, portmap" in host.refused(BRIDGE)


def test_runtimes_that_look_elsewhere(host: Host) -> None:
    host.plugins("/opt/cni/bin", *BRIDGE).plugins("/usr/lib/cni", *BRIDGE).containerd("/usr/lib/cni")
    host.file("/usr/local/bin/nerdctl")
    words = host.refused(BRIDGE)
    assert "containerd (/etc/containerd/config.toml) looks for plugins in /usr/lib/cni" in words
    assert (
        "nerdctl (/usr/local/bin/nerdctl, the first directory that exists) looks for plugins in /opt/cni/bin" in words
    )


def test_a_runtime_that_cannot_run_the_conflist_does_not_count(host: Host) -> None:
    host.plugins("/opt/cni/bin", *BRIDGE).plugins("/usr/lib/cni", "loopback").containerd("/usr/lib/cni")
    host.file("/usr/local/bin/nerdctl")
    assert host.choose(BRIDGE) == "/opt/cni/bin"


def test_a_runtime_that_reads_another_directory_does_not_count(host: Host) -> None:
    host.plugins("/opt/cni/bin", *BRIDGE).plugins("/usr/lib/cni", "loopback").containerd("/usr/lib/cni")
    assert host.choose(BRIDGE, "/srv/net.d/x.conflist") == "/opt/cni/bin"


def test_plugins_in_several_directories_of_one_runtime(host: Host) -> None:
    host.file("/etc/crio/crio.conf", '[crio.network]\nplugin_dirs = ["/a", "/b"]\n')
    host.plugins("/a", "portmap").plugins("/b", "bridge")
    assert host.choose(BRIDGE) == "/a"


def test_a_configuration_that_cannot_be_read(host: Host) -> None:
    host.plugins("/opt/cni/bin", *BRIDGE).file("/etc/containerd/config.toml", "[")
    assert "it is not known where containerd looks for plugins" in host.refused(BRIDGE)


class TestWithoutAConflist:
    def test_where_there_are_plugins(self, host: Host) -> None:
        host.plugins("/usr/lib/cni", "bridge")
        assert host.choose([], None) == "/usr/lib/cni"

    def test_where_the_runtime_looks(self, host: Host) -> None:
        host.plugins("/usr/lib/cni", "bridge").plugins("/opt/cni/bin", "bridge").containerd("/usr/lib/cni")
        assert host.choose([], None) == "/usr/lib/cni"

    def test_a_host_that_has_none_yet(self, host: Host) -> None:
        assert host.choose([], None) == "/opt/cni/bin"
        host.plugins("/opt/cni/bin")
        assert host.choose([], None) == "/opt/cni/bin"
        host.plugins("/opt/cni/bin", "eni-ledger")
        assert host.choose([], None) == "/opt/cni/bin"

    def test_none_is_made_beside_another(self, host: Host) -> None:
        host.plugins("/usr/lib/cni")
        assert "/opt/cni/bin is not there, /usr/lib/cni is" in host.refused([], None)
        host.file("/usr/bin/containerd")
        assert "/opt/cni/bin is not there, /usr/lib/cni is" in host.refused([], None)

    def test_one_that_has_only_eni_ledger_does_not_count(self, host: Host) -> None:
        host.plugins("/opt/cni/bin", "eni-ledger").plugins("/usr/lib/cni", "bridge")
        assert host.choose([], None) == "/usr/lib/cni"


def test_what_is_to_be_known_of_one_that_was_named(host: Host) -> None:
    host.plugins("/usr/lib/cni", *BRIDGE)
    tree = Tree(str(host.root))
    assert plugin_dir.notes(tree, "/usr/lib/cni", BRIDGE) == []
    assert plugin_dir.notes(tree, "/opt/cni/bin", ["ptp"]) == [
        "/opt/cni/bin has no ptp, which the conflist calls as well",
        "/opt/cni/bin was not there: a nerdctl that has taken /usr/lib/cni takes it from now on",
    ]
    assert plugin_dir.notes(tree, "/srv/plugins", []) == []
