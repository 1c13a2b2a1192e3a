"""The front door starts wherever it lies, however it is called, and whatever its environment is like."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.damage import damage
from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


def version(
    program: Path | str, env: Mapping[str, str] | None = None, *, shell: str = 'exec "$0" </dev/null'
) -> subprocess.CompletedProcess[bytes]:
    """Call VERSION through a shell line that says what becomes of the descriptors."""
    return subprocess.run(
        ["/bin/sh", "-c", shell, program],
        env={"CNI_COMMAND": "VERSION", **(env or {})},
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )


def answered(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Whether VERSION was answered in full and without a word on stderr."""
    return done.returncode == 0 and done.stderr == b"" and json.loads(done.stdout)["supportedVersions"] == VERSIONS


def test_empty_environment(front: Path) -> None:
    assert answered(version(front))


def test_closed_stdin(front: Path) -> None:
    assert answered(version(front, shell='exec "$0" <&-'))


def test_closed_stderr(front: Path) -> None:
    assert answered(version(front, shell='exec "$0" </dev/null 2>&-'))


def test_closed_stdout_is_a_failure(front: Path) -> None:
    done = version(front, shell='exec "$0" </dev/null >&-')
    assert done.returncode == 1
    assert done.stderr.startswith(b"eni-ledger: ")


def test_all_closed(front: Path) -> None:
    assert version(front, shell='exec "$0" <&- >&- 2>&-').returncode == 1


@pytest.mark.parametrize(
    "env",
    [
        {"LD_LIBRARY_PATH": "/nonexistent:"},
        {"LC_ALL": "de_DE.ISO-8859-1", "LANG": "ja_JP.eucJP"},
        {"PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent", "PYTHONSTARTUP": "/nonexistent"},
        {"PYTHONIOENCODING": "utf-16", "PYTHONUTF8": "0", "PYTHONVERBOSE": "1", "PYTHONDEVMODE": "1"},
        {"PATH": "", "HOME": "/nonexistent", "TMPDIR": "/nonexistent"},
        {
            "_PYI_PARENT_PROCESS_LEVEL": "1",
            "_PYI_ARCHIVE_FILE": "/opt/another/program",
            "_PYI_APPLICATION_HOME_DIR": "/",
        },
        {"CNI_IFNAME": "\udcff"},
    ],
    ids=lambda env: next(iter(env)),
)
def test_environment_does_not_matter(front: Path, env: dict[str, str]) -> None:
    assert answered(version(front, env))


def test_through_a_symlink(front: Path, tmp_path: Path) -> None:
    link = tmp_path / "eni-ledger"
    link.symlink_to(front)
    assert answered(version(link))
    again = tmp_path / "bin"
    again.mkdir()
    (again / "eni-ledger").symlink_to("../eni-ledger")
    assert answered(version(again / "eni-ledger"))


def test_through_path(front: Path) -> None:
    assert answered(version("eni-ledger", {"PATH": f"/nonexistent:{front.parent}"}))


def test_copy_under_another_path(copy: Path) -> None:
    assert answered(version(copy / "eni-ledger"))
    done = subprocess.run([copy / "eni-ledger", "version"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_path_that_is_no_ascii(copy: Path) -> None:
    moved = copy.rename(copy.parent / "größe \N{SNOWMAN}")
    assert answered(version(moved / "eni-ledger"))


@pytest.fixture
def read_only(copy: Path) -> Iterator[Path]:
    """Return a copy of the bundle that nothing can be written to, not even by root."""
    need(os.geteuid() == 0, "root, for a read-only mount")
    mount = subprocess.run(["mount", "--bind", copy, copy], capture_output=True, check=False)
    need(mount.returncode == 0, f"bind mounts ({mount.stderr.decode()})")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", copy], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (copy / "x").touch()
        yield copy
    finally:
        subprocess.run(["umount", copy], check=True)


def test_read_only_directory(read_only: Path) -> None:
    assert answered(version(read_only / "eni-ledger"))
    assert subprocess.run([read_only / "eni-ledger", "version"], capture_output=True, check=False).returncode == 0


def test_starting_leaves_nothing_behind(copy: Path) -> None:
    before = sorted(path.relative_to(copy) for path in copy.rglob("*"))
    assert answered(version(copy / "eni-ledger", {"TMPDIR": str(copy)}))
    assert sorted(path.relative_to(copy) for path in copy.rglob("*")) == before


@pytest.mark.c_front
@pytest.mark.parametrize(("said", "answered"), [("0.3.1", "0.3.1"), ("9.9.9", "1.1.0"), (None, "1.1.0")])
def test_damaged_installation(copy: Path, said: str | None, answered: str) -> None:
    """The runtime gets the error that the specification describes, whatever the path of the bundle has in it."""
    moved = copy.rename(copy.parent / 'a "b" \\ \x07\n größe \N{SNOWMAN} \U0001f600 \udcff')
    damage(moved)
    conf = {"name": "n", "type": "eni-ledger"} | ({"cniVersion": said} if said else {})
    done = subprocess.run(
        [moved / "eni-ledger"],
        input=json.dumps(conf).encode(),
        env={"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c", "CNI_IFNAME": "eth0", "CNI_NETNS": "/proc/1/ns/net"},
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["cniVersion"], document["code"]) == (1, answered, 999)
    assert document["msg"] == "the installation is damaged"
    assert document["details"].startswith(f'{copy.parent}/a "b" \\ \x07\n größe \N{SNOWMAN} \U0001f600 ')
    assert done.stderr.startswith(b"eni-ledger: the installation is damaged: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.c_front
@pytest.mark.parametrize("broken", [False, True])
def test_an_answer_that_cannot_be_written_is_a_failure(copy: Path, broken: bool) -> None:
    if broken:
        damage(copy)
    done = version(copy / "eni-ledger", shell='exec "$0" </dev/null >/dev/full')
    assert done.returncode == 1
    assert done.stderr.startswith(b"eni-ledger: ")
