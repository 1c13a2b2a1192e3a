"""Where containerd, nerdctl, CRI-O and podman look, on trees of hosts.

tests/linux/test_containerd.py holds what is said of containerd against containerd itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from eni_ledger.install import runtimes
from eni_ledger.install.runtimes import Runtime
from eni_ledger.install.tree import Tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    return made


def write(root: Path, path: str, text: str = "") -> None:
    file = root / path[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def only(root: Path) -> Runtime:
    (found,) = runtimes.find(Tree(str(root)))
    return found


def test_none(root: Path) -> None:
    assert runtimes.find(Tree(str(root))) == []
    assert runtimes.conf_dirs(Tree(str(root))) == ["/etc/cni/net.d"]


class TestContainerd:
    @pytest.mark.parametrize(
        "text",
        [
            '[plugins.cri.cni]\nbin_dir = "/usr/lib/cni/"\nconf_dir = "/srv/net.d"',
            'version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/usr/lib/cni"\nconf_dir = "/srv/net.d"',
            "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\n"
            "bin_dirs = ['/usr/lib/cni']\nconf_dir = '/srv/net.d'",
            "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\n"
            "bin_dir = '/usr/lib/cni'\nbin_dirs = []\nconf_dir = '/srv/net.d'",
        ],
    )
    def test_every_version_of_its_configuration(self, root: Path, text: str) -> None:
        write(root, "/etc/containerd/config.toml", text)
        found = only(root)
        assert (found.name, found.source) == ("containerd", "/etc/containerd/config.toml")
        assert (found.bin_dirs, found.conf_dirs) == (["/usr/lib/cni"], ["/srv/net.d"])
        assert runtimes.conf_dirs(Tree(str(root))) == ["/etc/cni/net.d", "/srv/net.d"]

    def test_its_defaults(self, root: Path) -> None:
        write(root, "/usr/bin/containerd")
        assert (only(root).bin_dirs, only(root).conf_dirs) == (["/opt/cni/bin"], ["/etc/cni/net.d"])

    @pytest.mark.parametrize(
        ("package", "version", "directory"),
        [
            ("containerd", "1.6.20~ds1-1+deb12u3", "/opt/cni/bin"),
            ("containerd", "1.7.24~ds1-6+deb13u1", "/usr/lib/cni"),
            ("containerd", "1.7.28-0ubuntu1~24.04.1", "/opt/cni/bin"),
            ("containerd.io", "1.7.27-1", "/opt/cni/bin"),
        ],
    )
    def test_its_default_is_that_of_the_distribution(
        self, root: Path, package: str, version: str, directory: str
    ) -> None:
        write(root, "/usr/bin/containerd")
        status = f"Package: a\nVersion: 2.0.0~ds1\n\nPackage: {package}\nSection: admin\nVersion: {version}\n\n"
        write(root, "/var/lib/dpkg/status", status)
        assert only(root).bin_dirs == [directory]

    def test_several_directories_and_those_of_a_runtime_class(self, root: Path) -> None:
        text = (
            "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dirs = ['/a', '/b']\n"
            "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]\ncni_conf_dir = '/etc/kata/net.d'\n"
        )
        write(root, "/etc/containerd/config.toml", text)
        assert (only(root).bin_dirs, only(root).conf_dirs) == (["/a", "/b"], ["/etc/cni/net.d", "/etc/kata/net.d"])

    def test_imports(self, root: Path) -> None:
        table = "[plugins.'io.containerd.cri.v1.runtime'.cni]"
        text = f'version = 3\nimports = ["conf.d/*.toml", "/srv/x.toml"]\n{table}\nbin_dir = "/a"\n'
        write(root, "/etc/containerd/config.toml", text)
        write(root, "/etc/containerd/conf.d/1.toml", f'{table}\nbin_dir = "/b"\nconf_dir = "/c"\n')
        write(root, "/srv/x.toml", f'imports = ["/etc/containerd/config.toml"]\n{table}\nbin_dir = "/d"\n')
        assert (only(root).bin_dirs, only(root).conf_dirs) == (["/d"], ["/c"])

    def test_without_its_cri_plugin_it_calls_none(self, root: Path) -> None:
        write(root, "/usr/bin/containerd")
        write(root, "/etc/containerd/config.toml", 'disabled_plugins = ["cri"]\n')
        assert runtimes.find(Tree(str(root))) == []

    @pytest.mark.parametrize("text", ["[plugins", 'version = "\x00"', '[plugins]\ncri = 3\n[plugins."x"'])
    def test_a_configuration_that_cannot_be_read(self, root: Path, text: str) -> None:
        write(root, "/etc/containerd/config.toml", text)
        found = only(root)
        assert (found.name, found.bin_dirs, "config.toml is not TOML" in found.problem) == ("containerd", [], True)

    def test_values_of_other_kinds_are_none(self, root: Path) -> None:
        text = 'imports = "x"\n[plugins.cri.cni]\nbin_dir = 3\nconf_dir = ["relative"]\nbin_dirs = [1, "x"]\n'
        write(root, "/etc/containerd/config.toml", text)
        assert (only(root).bin_dirs, only(root).conf_dirs) == (["/opt/cni/bin"], ["/etc/cni/net.d"])


class TestNerdctl:
    def test_the_first_directory_that_exists(self, root: Path) -> None:
        write(root, "/usr/local/bin/nerdctl")
        assert only(root).bin_dirs == ["/opt/cni/bin"]
        for name in reversed(runtimes.NERDCTL_DIRS):
            (root / name[1:]).mkdir(parents=True)
            assert only(root).bin_dirs == [name]

    def test_its_configuration(self, root: Path) -> None:
        write(root, "/etc/nerdctl/nerdctl.toml", 'cni_path = "/a"\ncni_netconfpath = "/b"\n')
        assert (only(root).bin_dirs, only(root).conf_dirs, only(root).source) == (
            ["/a"],
            ["/b"],
            "/etc/nerdctl/nerdctl.toml",
        )

    def test_it_reads_a_directory_for_each_namespace(self, root: Path) -> None:
        write(root, "/usr/bin/nerdctl")
        assert only(root).reads("/etc/cni/net.d/nerdctl-x.conflist")
        assert only(root).reads("/etc/cni/net.d/default/nerdctl-x.conflist")
        assert not only(root).reads("/etc/cni/other/x.conflist")


class TestCrio:
    def test_drop_ins_go_before_the_file(self, root: Path) -> None:
        write(root, "/etc/crio/crio.conf", '[crio.network]\nplugin_dirs = ["/a"]\nnetwork_dir = "/n/"\n')
        write(root, "/etc/crio/crio.conf.d/10-x.conf", '[crio.network]\nplugin_dirs = ["/b", "/c"]\n')
        assert (only(root).bin_dirs, only(root).conf_dirs) == (["/b", "/c"], ["/n"])
        assert only(root).source == "/etc/crio/crio.conf.d/10-x.conf"

    def test_its_defaults(self, root: Path) -> None:
        write(root, "/usr/bin/crio")
        assert (only(root).bin_dirs, only(root).conf_dirs) == (["/opt/cni/bin"], ["/etc/cni/net.d"])


class TestPodman:
    def test_it_looks_into_all_of_them(self, root: Path) -> None:
        write(root, "/usr/bin/podman")
        assert set(only(root).bin_dirs) == set(runtimes.NERDCTL_DIRS)

    def test_its_configuration(self, root: Path) -> None:
        write(root, "/usr/bin/podman")
        write(root, "/etc/containers/containers.conf", '[network]\ncni_plugin_dirs = ["/a"]\n')
        write(root, "/etc/containers/containers.conf.d/x.conf", '[network]\nnetwork_config_dir = "/n"\n')
        assert (only(root).bin_dirs, only(root).conf_dirs) == (["/a"], ["/n"])

    def test_with_netavark_it_calls_no_plugin(self, root: Path) -> None:
        write(root, "/usr/bin/podman")
        write(root, "/var/lib/containers/storage/defaultNetworkBackend", "netavark")
        assert runtimes.find(Tree(str(root))) == []
        write(root, "/etc/containers/containers.conf", '[network]\nnetwork_backend = "cni"\n')
        assert only(root).name == "podman"

    def test_its_files_without_it(self, root: Path) -> None:
        write(root, "/etc/containers/containers.conf", "[network]\n")
        assert runtimes.find(Tree(str(root))) == []
