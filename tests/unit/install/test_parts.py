"""JSON files that are shared with the operator, conflists, and paths inside a tree."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base.errors import InstallError
from eni_ledger.install import conflist, trial_mountns
from eni_ledger.install.bundle import loader_of
from eni_ledger.install.json_merge import dump, merge, unmerge
from eni_ledger.install.preflight import check_ecs_host
from eni_ledger.install.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

WANTED = {"stateDir": "/new", "agentDb": "/db"}
UNSET = {"stateDir": "/default"}
VALUES = st.none() | st.booleans() | st.integers() | st.text()


class TestMerging:
    @given(
        st.none() | st.dictionaries(st.sampled_from(["stateDir", "agentDb", "journald", "x"]), VALUES),
        st.sampled_from([None, 1, 4]),
    )
    def test_what_is_there_stays_and_comes_back_byte_for_byte(
        self, theirs: dict[str, Any] | None, indent: int | None
    ) -> None:
        before = None if theirs is None else json.dumps(theirs, indent=indent).encode()
        if before == dump(WANTED):
            return
        after, record = merge(before, "f", WANTED, UNSET, None)
        found = json.loads(after if after is not None else before or b"")
        for key, value in {**WANTED, **(theirs or {})}.items():
            assert found[key] == value
        if record is not None:
            assert unmerge(after, record) == before
            assert merge(after, "f", WANTED, UNSET, record) == (None, record)

    def test_a_default_that_is_written_out_is_nobodys_choice(self) -> None:
        before = b'{"stateDir": "/default", "journald": false}'
        after, record = merge(before, "f", WANTED, UNSET, None)
        assert after is not None
        assert record is not None
        assert json.loads(after) == {"stateDir": "/new", "agentDb": "/db", "journald": False}
        edited = dump({**json.loads(after), "sync": False})
        assert json.loads(unmerge(edited, record) or b"") == {"stateDir": "/default", "journald": False, "sync": False}

    def test_a_later_version_adds_its_keys_and_all_of_them_go_again(self) -> None:
        first, record = merge(None, "f", {"stateDir": "/new"}, {}, None)
        second, record = merge(first, "f", WANTED, {}, record)
        assert record is not None
        assert unmerge(second, record) is None

    def test_no_json_is_refused_and_on_the_way_out_left_alone(self) -> None:
        for bad in (b"{", b"[]", b"\xff"):
            with pytest.raises(InstallError, match="JSON"):
                merge(bad, "f", WANTED, UNSET, None)
            assert unmerge(bad, {"before": None, "changed": {}, "after": ""}) == bad


CONFLISTS = [
    '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"vlan"}]}',
    '{\n  "name": "n",\n  "plugins": [\n    {\n      "type": "bridge",\n      "x": [1, {"y": "]"}]\n    }\n  ]\n}\n',
    '{ "plugins" :\t[ {"type":"a"} ,\n  {"type":"b"} ], "name":"plugins", "z":{"plugins":[]} }',
    '{"plugins":[{"type":"old"}],"plugins":[{"type":"a"},{"type":"b"}]}',
    '{"plugins":"old","plugins" : [{"type":"a"}]}',
]


class TestConflist:
    @pytest.mark.parametrize("text", CONFLISTS)
    def test_it_comes_last_and_the_rest_is_as_it_was(self, text: str) -> None:
        after = conflist.add(text, "f")
        before, found = json.loads(text), json.loads(after)
        assert found.pop("plugins") == [*before.pop("plugins"), {"type": "eni-ledger"}]
        assert found == before
        assert conflist.has_plugin(after, "f")
        assert conflist.take_out(after, "f") == text

    def test_indentation_is_kept(self) -> None:
        after = conflist.add(CONFLISTS[1], "f")
        assert after.splitlines()[-4:] == ["    },", '    {"type": "eni-ledger"}', "  ]", "}"]

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"plugins":{}}', '{"plugins":[]}', '{"type":"bridge"}'])
    def test_what_is_no_conflist_is_refused(self, text: str) -> None:
        with pytest.raises(InstallError, match="conflist"):
            conflist.add(text, "f")

    def test_it_is_found_and_taken_out_wherever_it_is(self) -> None:
        text = '{"plugins": [{"type": "eni-ledger"}, {"type": "a"}, {"type": "eni-ledger", "x": 1}, {"type": "b"}]}'
        assert json.loads(conflist.take_out(text, "f"))["plugins"] == [{"type": "a"}, {"type": "b"}]
        assert conflist.take_out('{"plugins": [{"type": "eni-ledger"}]}', "f") == '{"plugins": []}'


class TestTree:
    def test_links_stay_inside(self, tmp_path: Path) -> None:
        root = tmp_path / "image"
        (root / "srv/ecs").mkdir(parents=True)
        (root / "etc").mkdir()
        (root / "etc/ecs").symlink_to("/srv/ecs")
        (root / "up").symlink_to("../../../../srv")
        (root / "round").symlink_to("round")
        tree = Tree(str(root))
        tree.write("/etc/ecs/ecs.config", b"A=1\n")
        assert (root / "srv/ecs/ecs.config").read_bytes() == b"A=1\n"
        assert tree.real("/up/ecs") == str(root / "srv/ecs")
        assert tree.real("/../../etc/../srv") == str(root / "srv")
        with pytest.raises(InstallError, match="circle"):
            tree.real("/round/x")

    def test_a_file_that_is_a_link_is_written_where_it_points_to(self, tmp_path: Path) -> None:
        (tmp_path / "real").write_bytes(b"old")
        (tmp_path / "link").symlink_to("real")
        Tree(str(tmp_path)).write("/link", b"new")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_bytes() == b"new"

    def test_mode_owner_and_attributes_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        path.chmod(0o604)
        if os.geteuid() == 0:
            os.chown(path, 12, 34)
        os.setxattr(path, "user.label", b"x")
        was = path.stat()
        Tree(str(tmp_path)).write("/file", b"new")
        found = path.stat()
        assert (found.st_mode, found.st_uid, found.st_gid) == (was.st_mode, was.st_uid, was.st_gid)
        assert os.getxattr(path, "user.label") == b"x"

    def test_a_new_file_has_its_mode_whatever_the_umask(self, tmp_path: Path) -> None:
        old = os.umask(0o077)
        try:
            tree = Tree(str(tmp_path))
            tree.make_dir("/d")
            tree.write("/d/f", b"")
        finally:
            os.umask(old)
        assert (tmp_path / "d").stat().st_mode & 0o777 == 0o755
        assert (tmp_path / "d/f").stat().st_mode & 0o777 == 0o644

    def test_a_directory_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(InstallError, match="no regular file"):
            Tree(str(tmp_path.parent)).read(f"/{tmp_path.name}")


class Swapped(Tree):
    """A tree in which a directory becomes a link right after a path has been resolved."""

    def real(self, path: str, *, follow: bool = True) -> str:
        found = super().real(path, follow=follow)
        Path(self.root, "srv").rename(Path(self.root, "was"))
        Path(self.root, "srv").symlink_to("theirs")
        return found


@pytest.mark.parametrize("removal", [Tree.remove, Tree.remove_all, Tree.remove_dir])
def test_a_link_in_the_resolved_path_is_not_followed(tmp_path: Path, removal: Callable[[Tree, str], None]) -> None:
    for name in ("srv", "theirs"):
        (tmp_path / name / "below/x").mkdir(parents=True)
    with pytest.raises(NotADirectoryError):
        removal(Swapped(str(tmp_path)), "/srv/below/x")
    assert (tmp_path / "theirs/below/x").is_dir()


@pytest.mark.parametrize("path", ["/x", "/srv/x", "/link/x", "/up/link/x"])
def test_what_is_removed_is_found_by_way_of_links(tmp_path: Path, path: str) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "up").mkdir()
    (tmp_path / "link").symlink_to("/srv")
    (tmp_path / "up/link").symlink_to("../srv")
    tree = Tree(str(tmp_path))
    tree.make_dir(path)
    tree.remove_all(path)
    assert not tree.exists(path)
    assert (tmp_path / "srv").is_dir()


def test_the_loader_that_a_program_needs(tmp_path: Path) -> None:
    found = loader_of(os.path.realpath("/proc/self/exe"))
    assert found is not None
    assert found.startswith("/lib")
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "cut").write_bytes(b"\x7fELF\x02\x01" + b"\xff" * 80)
    assert [loader_of(str(tmp_path / name)) for name in ("script", "cut", "none")] == [None, None, None]


def test_a_tree_without_libc_is_not_the_bundles_fault(tmp_path: Path) -> None:
    (tmp_path / "tree/usr/lib").mkdir(parents=True)
    (tmp_path / "bundle").mkdir()
    shutil.copy(os.path.realpath("/proc/self/exe"), tmp_path / "bundle/eni-ledger")
    with pytest.raises(InstallError, match="this tree lacks the C library") as caught:
        trial_mountns.prove_in_namespace(str(tmp_path / "bundle"), str(tmp_path / "tree"))
    assert "/tree/lib" in caught.value.details


def test_everything_that_a_host_lacks_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match=r"/etc/ecs.*; no /var/lib/ecs/data"):
        check_ecs_host(Tree(str(tmp_path)))
