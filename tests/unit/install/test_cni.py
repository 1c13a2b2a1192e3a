"""`install cni` and `uninstall cni` on trees of hosts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from eni_ledger.base.errors import InstallError
from eni_ledger.install.bundle import Bundle
from eni_ledger.install.service import InstallReport, install_cni, uninstall_cni
from eni_ledger.install.tree import Tree
from helpers.roots import killed_at, make_bundle, picture

CONFLIST = "/etc/cni/net.d/10-net.conflist"
# As multus in its "auto" mode writes it: the first conflist of the directory, plugins and all, in "delegates".
MULTUS = json.dumps(
    {
        "cniVersion": "0.3.1",
        "name": "multus-cni-network",
        "type": "multus",
        "kubeconfig": "/etc/cni/net.d/multus.d/multus.kubeconfig",
        "delegates": [{"name": "cbr0", "plugins": [{"type": "flannel"}, {"type": "portmap"}, {"type": "eni-ledger"}]}],
    }
)
CHAIN = '{\n  "cniVersion": "1.0.0",\n  "name": "net",\n  "plugins": [\n    {"type": "vlan"}\n  ]\n}\n'
PROGRAM = "/opt/eni-ledger/bundle/eni-ledger"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle(str(make_bundle(tmp_path_factory.mktemp("bundle") / "b")))


@pytest.fixture
def host(tmp_path: Path) -> Path:
    root = tmp_path / "host"
    (root / "etc/cni/net.d").mkdir(parents=True)
    (root / "opt/cni/bin").mkdir(parents=True)
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "opt/cni/bin/vlan").write_text("")
    (root / CONFLIST[1:]).write_text(CHAIN)
    (root / CONFLIST[1:]).chmod(0o600)
    return root


def install(root: Path, bundle: Bundle, tree: Tree | None = None, path: str | None = CONFLIST) -> InstallReport:
    report = InstallReport(dry_run=False)
    install_cni(tree or Tree(str(root)), bundle, report, path=path)
    return report


def uninstall(root: Path, tree: Tree | None = None, *, purge: bool = False, force: bool = False) -> InstallReport:
    report = InstallReport(dry_run=False)
    uninstall_cni(tree or Tree(str(root)), report, purge=purge, force=force)
    return report


def seen(root: Path) -> dict[str, tuple[object, ...]]:
    return picture(root, times=False)


def test_there_and_back(host: Path, bundle: Bundle) -> None:
    before = seen(host)
    install(host, bundle)
    assert str((host / "opt/cni/bin/eni-ledger").readlink()) == PROGRAM
    assert str((host / "opt/eni-ledger/bundle").readlink()) == f"versions/{bundle.name}"
    conflist = host / CONFLIST[1:]
    assert [one["type"] for one in json.loads(conflist.read_text())["plugins"]] == ["vlan", "eni-ledger"]
    assert conflist.stat().st_mode & 0o777 == 0o600
    assert install(host, bundle).steps == []
    uninstall(host)
    assert seen(host) == before
    assert uninstall(host).steps == []


def test_without_a_conflist_none_is_touched(host: Path, bundle: Bundle) -> None:
    install(host, bundle, path=None)
    assert (host / CONFLIST[1:]).read_text() == CHAIN


def test_directories_that_were_not_there_go_again(tmp_path: Path, bundle: Bundle) -> None:
    root = tmp_path / "bare"
    root.mkdir()
    install(root, bundle, path=None)
    assert (root / "opt/cni/bin/eni-ledger").is_symlink()
    uninstall(root)
    assert list(root.iterdir()) == []


def test_a_package_has_the_bundle_in_place(host: Path) -> None:
    packaged = Bundle(str(make_bundle(host / "opt/eni-ledger")))
    before = seen(host)
    install(host, packaged)
    assert str((host / "opt/cni/bin/eni-ledger").readlink()) == "/opt/eni-ledger/eni-ledger"
    assert not (host / "opt/eni-ledger/versions").exists()
    uninstall(host)
    assert seen(host) == before


def test_another_bundle_does_not_go_into_a_packages_directory(host: Path, bundle: Bundle) -> None:
    make_bundle(host / "opt/eni-ledger")
    with pytest.raises(InstallError, match="a package"):
        install(host, bundle)


def test_a_link_that_was_there_comes_back(host: Path, bundle: Bundle) -> None:
    (host / "opt/cni/bin/eni-ledger").symlink_to("/usr/local/bin/eni-ledger")
    before = seen(host)
    install(host, bundle)
    assert str((host / "opt/cni/bin/eni-ledger").readlink()) == PROGRAM
    uninstall(host)
    assert seen(host) == before


def test_a_file_that_is_there_is_not_overwritten(host: Path, bundle: Bundle) -> None:
    (host / "opt/cni/bin/eni-ledger").write_text("theirs")
    before = seen(host)
    with pytest.raises(InstallError, match="a file already"):
        install(host, bundle)
    assert seen(host) == before


def test_a_conflist_that_was_edited_since_keeps_the_edit(host: Path, bundle: Bundle) -> None:
    install(host, bundle)
    conflist = host / CONFLIST[1:]
    conflist.write_text(conflist.read_text().replace('"net"', '"other"'))
    uninstall(host)
    assert conflist.read_text() == CHAIN.replace('"net"', '"other"')


class TestCallers:
    """What still calls the plugin keeps it from being removed."""

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("20-hand.conflist", '{"name": "x", "plugins": [{"type": "bridge"}, {"type" : "eni-ledger"}]}'),
            ("20-one.conf", '{"name": "x", "type": "eni-ledger"}'),
            ("20-one.json", '{"name": "x", "type": "eni-ledger"}'),
            ("20-broken.conflist", '{"plugins": [{"type": "eni-ledger"}'),
            ("default/nerdctl-x.conflist", '{"plugins": [{"type": "eni-ledger"}]}'),
            ("00-multus.conf", MULTUS),
            ("20-flannel.conflist", '{"plugins": [{"type": "flannel", "delegate": {"type": "eni-ledger"}}]}'),
            ("20-list.conf", '{"name": "x", "plugins": [{"type": "bridge"}, {"type": "eni-ledger"}]}'),
        ],
    )
    def test_written_by_hand(self, host: Path, bundle: Bundle, name: str, text: str) -> None:
        install(host, bundle)
        caller = host / "etc/cni/net.d" / name
        caller.parent.mkdir(exist_ok=True)
        caller.write_text(text)
        before = seen(host)
        with pytest.raises(InstallError, match="still calls eni-ledger") as caught:
            uninstall(host)
        assert (caught.value.details, "--force" in caught.value.hint) == (f"/etc/cni/net.d/{name}", True)
        assert seen(host) == before
        report = uninstall(host, force=True)
        assert any(name in note and "will fail" in note for note in report.notes)
        assert not (host / "opt/cni/bin/eni-ledger").is_symlink()

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("20-other.conflist", '{"name": "eni-ledger", "plugins": [{"type": "bridge"}]}'),
        ],
    )
    def test_no_callers(self, host: Path, bundle: Bundle, name: str, text: str) -> None:
        install(host, bundle)
        (host / "etc/cni/net.d" / name).write_text(text)
        uninstall(host)
        assert not (host / "opt/cni/bin/eni-ledger").is_symlink()

    def test_our_conflist_under_another_name_is_put_back(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        renamed = (host / CONFLIST[1:]).rename(host / "etc/cni/net.d/05-net.conflist")
        uninstall(host)
        assert renamed.read_text() == CHAIN
        assert not (host / CONFLIST[1:]).exists()

    def test_our_conflist_as_cilium_renames_it_is_put_back(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        renamed = (host / CONFLIST[1:]).rename(host / f"{CONFLIST[1:]}.cilium_bak")
        uninstall(host)
        assert renamed.read_text() == CHAIN

    def test_one_that_no_runtime_reads_is_told(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        (host / "etc/cni/net.d/20-x.conflist.cilium_bak").write_text('{"plugins": [{"type": "eni-ledger"}]}')
        report = uninstall(host)
        assert any("20-x.conflist.cilium_bak has eni-ledger in it" in note for note in report.notes)
        assert not (host / "opt/cni/bin/eni-ledger").is_symlink()

    def test_where_a_runtime_reads_them(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        (host / "etc/containerd").mkdir()
        text = '[plugins."io.containerd.cri.v1.runtime".cni]\nconf_dir = "/srv/net.d"\n'
        (host / "etc/containerd/config.toml").write_text(text)
        (host / "srv/net.d").mkdir(parents=True)
        (host / "srv/net.d/20-x.conf").write_text('{"type": "eni-ledger"}')
        with pytest.raises(InstallError, match=r"srv/net\.d/20-x"):
            uninstall(host)

    def test_under_another_name_and_edited_it_is_a_caller(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        renamed = (host / CONFLIST[1:]).rename(host / "etc/cni/net.d/05-net.conflist")
        renamed.write_text(renamed.read_text().replace('"net"', '"other"'))
        with pytest.raises(InstallError, match="05-net"):
            uninstall(host)

    def test_our_conflist_is_gone(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        (host / CONFLIST[1:]).unlink()
        assert any(CONFLIST in note and "not there any more" in note for note in uninstall(host).notes)

    def test_in_another_directory(self, host: Path, bundle: Bundle) -> None:
        install(host, bundle)
        (host / "srv").mkdir()
        (host / "srv/x.conf").write_text('{"type": "eni-ledger"}')
        with pytest.raises(InstallError, match="srv/x"):
            uninstall_cni(Tree(str(host)), InstallReport(dry_run=True), conf_dirs=["/srv"])

    def test_where_a_plugin_stays_nothing_is_refused(self, host: Path, bundle: Bundle) -> None:
        (host / "opt/cni/bin/eni-ledger").symlink_to("/srv/eni-ledger")
        install(host, bundle, path=None)
        (host / "etc/cni/net.d/20-one.conf").write_text('{"type": "eni-ledger"}')
        uninstall(host)
        assert str((host / "opt/cni/bin/eni-ledger").readlink()) == "/srv/eni-ledger"


class TestCommand:
    def test_it_is_found_where_shells_look(self, host: Path, bundle: Bundle) -> None:
        report = install(host, bundle)
        assert str((host / "usr/local/bin/eni-ledger").readlink()) == PROGRAM
        assert any(step.path == "/usr/local/bin/eni-ledger" and "command" in step.what for step in report.steps)
        uninstall(host)
        assert list((host / "usr/local/bin").iterdir()) == []

    def test_a_package_has_its_own(self, host: Path, bundle: Bundle) -> None:
        (host / "usr/bin").mkdir()
        (host / "usr/bin/eni-ledger").write_text("")
        install(host, bundle)
        assert list((host / "usr/local/bin").iterdir()) == []

    def test_what_is_there_stays(self, host: Path, bundle: Bundle) -> None:
        theirs = host / "usr/local/bin/eni-ledger"
        theirs.write_text("pip's")
        assert any("not a link of eni-ledger" in note for note in install(host, bundle).notes)
        uninstall(host)
        assert theirs.read_text() == "pip's"

    def test_without_a_place_for_it_the_path_is_told(self, host: Path, bundle: Bundle) -> None:
        (host / "usr/local/bin").rmdir()
        assert any(PROGRAM in note for note in install(host, bundle).notes)


def test_steps_are_shown_where_they_are_done(host: Path, bundle: Bundle) -> None:
    report = InstallReport(dry_run=True, root=str(host))
    install_cni(Tree(str(host)), bundle, report, path=CONFLIST)
    assert all(step.path.startswith(f"{host}/") for step in report.steps)
    assert f"{host}{CONFLIST}" in [step["path"] for step in report.document()["steps"]]


@pytest.mark.parametrize("text", ["{", '{"type": "bridge"}', '{"plugins": []}'])
def test_what_is_no_conflist_is_refused_and_nothing_changes(host: Path, bundle: Bundle, text: str) -> None:
    (host / CONFLIST[1:]).write_text(text)
    before = seen(host)
    with pytest.raises(InstallError, match="conflist"):
        install(host, bundle)
    assert seen(host) == before


@pytest.mark.parametrize("name", ["10-net.conf", "10-net.json", "10-net.conflist.bak"])
def test_a_conflist_that_no_runtime_reads_as_one(host: Path, bundle: Bundle, name: str) -> None:
    (host / "etc/cni/net.d" / name).write_text(CHAIN)
    before = seen(host)
    with pytest.raises(InstallError, match=r"named \.conflist only") as caught:
        install(host, bundle, path=f"/etc/cni/net.d/{name}")
    assert "rename it to 10-net.conflist" in caught.value.hint
    assert seen(host) == before


class TestBinDir:
    """The directory of plugins, where the command line does not name it."""

    def test_beside_the_other_plugins(self, host: Path, bundle: Bundle) -> None:
        (host / "opt/cni/bin").rename(host / "opt/cni/elsewhere")
        (host / "usr/lib/cni").mkdir(parents=True)
        (host / "usr/lib/cni/vlan").write_text("")
        before = seen(host)
        install(host, bundle)
        assert str((host / "usr/lib/cni/eni-ledger").readlink()) == PROGRAM
        assert not (host / "opt/cni/bin").exists()
        uninstall(host)
        assert seen(host) == before

    def test_nothing_is_changed_when_it_is_not_known(self, host: Path, bundle: Bundle) -> None:
        (host / "opt/cni/bin/vlan").unlink()
        before = seen(host)
        with pytest.raises(InstallError, match="no directory of plugins") as caught:
            install(host, bundle)
        assert "--bin-dir" in caught.value.hint
        assert seen(host) == before

    def test_one_that_is_named_counts_and_what_it_lacks_is_told(self, host: Path, bundle: Bundle) -> None:
        report = InstallReport(dry_run=False)
        install_cni(Tree(str(host)), bundle, report, bin_dir="/srv/plugins", path=CONFLIST)
        assert (host / "srv/plugins/eni-ledger").is_symlink()
        assert "/srv/plugins has no vlan, which the conflist calls as well" in report.notes


def test_a_conflist_that_is_not_there(host: Path, bundle: Bundle) -> None:
    with pytest.raises(InstallError, match="no such conflist"):
        install(host, bundle, path="/etc/cni/net.d/none.conflist")


@pytest.mark.parametrize("configured", [None, "/srv/ledger"])
def test_the_ledger_goes_only_when_it_is_purged_and_only_the_ledger(
    host: Path, bundle: Bundle, configured: str | None
) -> None:
    state = host / (configured or "/var/lib/eni-ledger")[1:]
    (state / "spool").mkdir(parents=True)
    (state / "spool/1").write_text("{}")
    for name in ("ledger.jsonl", "ledger-0000000000000001-0000000000000009.jsonl", "lock", "state.json"):
        (state / name).write_text("{}")
    if configured:
        (host / "etc/eni-ledger").mkdir()
        (host / "etc/eni-ledger/config.json").write_text(json.dumps({"stateDir": configured}))
    before = seen(host)
    install(host, bundle)
    assert any("the ledger stays" in note for note in uninstall(host).notes)
    assert seen(host) == before
    (state / "mine.txt").write_text("")
    uninstall(host, purge=True)
    assert [path.name for path in state.iterdir()] == ["mine.txt"]


def test_packed_history_goes_with_the_ledger(host: Path, bundle: Bundle) -> None:
    state = host / "var/lib/eni-ledger"
    state.mkdir(parents=True)
    for name in ("ledger.jsonl", "ledger.index", *(f"ledger-{1:016}-{9:016}{one}" for one in (".jsonl.gz", ".index"))):
        (state / name).write_text("")
    install(host, bundle)
    uninstall(host, purge=True)
    assert not state.exists()


def test_a_state_directory_that_is_a_link_is_not_gone_through(host: Path, bundle: Bundle) -> None:
    (host / "srv/theirs").mkdir(parents=True)
    (host / "srv/theirs/ledger.jsonl").write_text("{}")
    (host / "var/lib").mkdir(parents=True, exist_ok=True)
    (host / "var/lib/eni-ledger").symlink_to("/srv/theirs")
    install(host, bundle)
    uninstall(host, purge=True)
    assert (host / "srv/theirs/ledger.jsonl").read_text() == "{}"
    assert not (host / "var/lib/eni-ledger").is_symlink()
    assert uninstall(host, purge=True).steps == []


def test_the_ledger_of_the_ecs_agent_is_another_matter(host: Path, bundle: Bundle) -> None:
    state = host / "var/lib/ecs/data/eni-ledger/state"
    state.mkdir(parents=True)
    (state / "ledger.jsonl").write_text("{}")
    (host / "etc/eni-ledger").mkdir()
    (host / "etc/eni-ledger/config.json").write_text('{"stateDir": "/var/lib/ecs/data/eni-ledger/state"}')
    install(host, bundle)
    uninstall(host, purge=True)
    assert (state / "ledger.jsonl").exists()


def test_killed_at_every_change(host: Path, bundle: Bundle, tmp_path: Path) -> None:
    before = seen(host)
    whole = tmp_path / "whole"
    shutil.copytree(host, whole, symlinks=True)
    install(whole, bundle)
    for number in range(1, 100):
        root = tmp_path / "round"
        shutil.copytree(host, root, symlinks=True)
        killed = killed_at(number, root, lambda root, tree: install(root, bundle, tree))
        again = tmp_path / "again"
        shutil.copytree(root, again, symlinks=True)
        uninstall(root)
        assert seen(root) == before
        install(again, bundle)
        assert seen(again) == seen(whole)
        killed_at(number, again, uninstall)
        uninstall(again)
        assert seen(again) == before
        shutil.rmtree(root)
        shutil.rmtree(again)
        if not killed:
            break
    assert 10 < number < 99
