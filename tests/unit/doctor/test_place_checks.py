"""Who may put another directory in place of the ledger's, and what is no place for one."""

from __future__ import annotations

import grp
import os
import pwd
import sys
from pathlib import Path

import pytest

from eni_ledger.doctor.host import FAIL, OK, SKIPPED, WARN, Host, Paths
from eni_ledger.doctor.place_checks import front_door, state_dir, writers_above
from eni_ledger.install.bundle import NOT_PROMISED
from eni_ledger.install.layout import INTERPRETER
from helpers.delegate import script
from helpers.ledgers import add_event, record, settings
from helpers.prereq import need


@pytest.fixture
def top(tmp_path: Path) -> Path:
    need(os.geteuid() == 0, "root")
    (tmp_path / "top/state").mkdir(parents=True, mode=0o755)
    (tmp_path / "top/state").chmod(0o750)
    return tmp_path / "top"


def above(path: Path) -> list[str]:
    return list(writers_above(str(path)))


def nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (0o755, []),
        (0o777, ["everybody may write to {top} (mode 0777)"]),
        (0o775, ["group {group} may write to {top} (mode 0775)"]),
        (0o1777, []),  # as /tmp, in which others cannot rename what root has made
    ],
)
def test_modes(top: Path, mode: int, words: list[str]) -> None:
    os.chown(top, 0, nobody().pw_gid)
    top.chmod(mode)
    group = grp.getgrgid(nobody().pw_gid).gr_name
    assert above(top / "state") == [each.format(top=top, group=group) for each in words]


def test_an_owner(top: Path) -> None:
    os.chown(top, nobody().pw_uid, 0)
    assert above(top / "state") == [f"user nobody owns {top}"]
    os.chown(top, 4_000_000_000, 0)
    assert above(top / "state") == [f"user 4000000000 owns {top}"]


def test_what_is_not_there_yet_others_can_make_in_a_sticky_directory(top: Path) -> None:
    top.chmod(0o1777)
    assert above(top / "none/state") == [f"everybody may write to {top} (mode 1777)"]


def test_links_are_followed_one_by_one(top: Path) -> None:
    """The one who may write to a directory that only a link goes through may turn the way elsewhere."""
    (top / "between").mkdir()
    (top / "between/second").symlink_to("../state/")
    (top / "first").symlink_to("between/../between/./second")
    (top / "state/ledger").mkdir()
    (top / "between").chmod(0o777)
    assert set(above(top / "first/ledger")) == {f"everybody may write to {top / 'between'} (mode 0777)"}
    (top / "loop").symlink_to("loop")
    above(top / "loop/x")


def test_the_check(top: Path) -> None:
    host = Host(settings(top / "state"), Paths(str(top)))
    assert state_dir(host).status == OK
    record(top / "state", add_event(1))
    assert state_dir(host).status == OK
    top.chmod(0o777)
    found = state_dir(host)
    assert found.status == WARN
    assert f"everybody may write to {top} (mode 0777)" in found.message
    assert "chmod go-w" in found.hint


def test_a_directory_of_others(top: Path) -> None:
    (top / "state/motd").write_text("hello\n")
    found = state_dir(Host(settings(top / "state"), Paths(str(top))))
    assert (found.status, "holds no ledger and is not empty" in found.message) == (FAIL, True)
    assert list((top / "state").iterdir()) == [top / "state/motd"]


@pytest.mark.parametrize(("program", "status"), [(b"\x7fELF", OK), (b"\x7fELF MEI\x0c\x0b\x0a\x0b\x0e tail", WARN)])
def test_the_front_door_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: bytes, status: str
) -> None:
    host = Host(settings(tmp_path / "state"), Paths())
    assert front_door(host).status == SKIPPED
    (tmp_path / "eni-ledger").write_bytes(program)
    (tmp_path / "_internal").mkdir()
    script(tmp_path / INTERPRETER, "exit 0")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "eni-ledger-cli"))
    found = front_door(host)
    assert found.status == status
    assert all(promise in found.message for promise in NOT_PROMISED) == (status == WARN)


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_front_door_without_its_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int | None
) -> None:
    (tmp_path / "eni-ledger").write_bytes(b"\x7fELF")
    if mode is not None:
        (tmp_path / "_internal").mkdir()
        (tmp_path / INTERPRETER).touch(mode)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "eni-ledger-cli"))
    found = front_door(Host(settings(tmp_path / "state"), Paths()))
    assert (found.status, found.message.startswith(f"{tmp_path / INTERPRETER} ")) == (FAIL, True)
