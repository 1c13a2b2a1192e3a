"""What is in the bundle, read with PyInstaller's own readers and with readelf."""

from __future__ import annotations

import importlib.machinery
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PyInstaller.archive.readers import CArchiveReader  # type: ignore[import-untyped]
from PyInstaller.loader.pyimod01_archive import ArchiveReadError  # type: ignore[import-untyped]

from helpers.prereq import need

OLDEST_HOST = (2, 34)  # Amazon Linux 2023
MADE_PORTABLE = (2, 36)  # Debian 12, where packages are built
OF_THE_HOST = re.compile(r"(libc|libm|libdl|libpthread|librt|libutil|libgcc_s|ld-linux-[a-z0-9-]+)\.so\.\d+")


def elf_files(bundle: Path) -> list[Path]:
    """Return every ELF file."""
    files = [path for path in bundle.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if path.read_bytes()[:4] == b"\x7fELF"]


def readelf(option: str, path: Path) -> str:
    need(shutil.which("readelf"), "readelf (binutils)")
    return subprocess.run(["readelf", "--wide", option, path], capture_output=True, text=True, check=True).stdout


def front_modules(interpreter: Path) -> list[str]:
    """Return the names of the modules that are frozen in the front door's interpreter."""
    shown = readelf("--string-dump=.front_modules", interpreter)
    return re.findall(r"^  \[ *[0-9a-f]+\]  ?(\S+)$", shown, re.MULTILINE)


@pytest.mark.c_front
def test_front_door_is_not_pyinstallers_bootloader(front: Path, interpreter: Path) -> None:
    for program in (front, interpreter):
        with pytest.raises(ArchiveReadError):
            CArchiveReader(str(program))


@pytest.mark.c_front
def test_front_doors_modules_are_ours(interpreter: Path) -> None:
    modules = set(front_modules(interpreter))
    assert {"eni_ledger.plugin.chained", "eni_ledger.ledger.write.writer", "eni_ledger.journald"} <= modules
    ours = {"eni_ledger", "encodings", "io", "datetime", "front_os", "front_door", "front_load"}
    assert {name.split(".")[0] for name in modules} == ours
    # Of the commands no more than plain questions take.
    questions = {"answers", "damage", "found", "keys", "live_now", "misses", "period", "quick", "request", "session"}
    assert {name for name in modules if name.startswith("eni_ledger.cli.")} == {
        f"eni_ledger.cli.{n}" for n in questions
    }
    assert not [name for name in modules if name.startswith(("eni_ledger.install", "eni_ledger.doctor"))]
    assert not {"eni_ledger.kernel.scan", "eni_ledger.kernel.pyroute", "eni_ledger.ledger.check"} & modules
    assert not {"eni_ledger.plugin.process", "eni_ledger.kernel.setns"} & modules  # these are in C


def test_stand_in_for_os_is_as_the_real_one() -> None:
    script = r"""
import os as real, sys
front_os = type(sys)("front_os")
exec(open(sys.argv[1]).read(), front_os.__dict__)
sys.modules["os"] = front_os
import os
assert os is front_os
mine = {name: getattr(os, name) for name in list(vars(os)) if name[0] != "_" or name == "_exit"}
for name in mine.keys() - {"environ", "path", "fsencode", "fsdecode"}:
    assert mine[name] is getattr(real, name) or mine[name] == getattr(real, name), name
assert dict(os.environ) == dict(real.environ)
for name in ("eth0", "gr\u00f6\u00dfe", "\udcff"):
    assert os.fsencode(name) == real.fsencode(name) and os.fsdecode(real.fsencode(name)) == name
for path in ("/opt/cni/bin/eni-ledger", "eni-ledger", "/", "", "a/"):
    assert os.path.basename(path) == real.path.basename(path)
assert os.path.join("a", "b") == "a/b" and os.SEEK_SET == 0 and callable(os.makedirs)
assert hasattr(os, "setns") == hasattr(real, "setns") and not hasattr(os, "nonsense")
try:
    os.environ["A"] = "b"
except TypeError:
    print("good")
"""
    stand_in = Path(__file__).parents[2] / "build/front/stand_ins/os.py"
    command = [sys.executable, "-X", "utf8", "-c", script, str(stand_in)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "good\n"


def test_stand_in_for_the_loader_of_c_modules(tmp_path: Path) -> None:
    """It finds what lies in a directory of sys.path, and fails as the real one does."""
    script = r"""
import importlib._bootstrap, importlib.machinery, importlib.util, sys
real = importlib.util.find_spec("_queue")
assert isinstance(real.loader, importlib.machinery.ExtensionFileLoader)
names = {"__name__": "stand_in"}
exec(open(sys.argv[1]).read(), names)
sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not importlib.machinery.PathFinder]
sys.path[:] = [sys.argv[2], real.origin.rpartition("/")[0]]
names["_install"](importlib._bootstrap)
for name in ("absent", "broken"):
    try:
        __import__(name)
    except ImportError as exc:
        print(type(exc).__name__, exc)
sys.modules.pop("_queue", None)
import _queue
assert _queue.__spec__.origin == real.origin and callable(_queue.SimpleQueue)
"""
    broken = tmp_path / f"broken{importlib.machinery.EXTENSION_SUFFIXES[0]}"
    broken.touch()
    stand_in = Path(__file__).parents[2] / "build/front/stand_ins/importlib_external.py"
    command = [sys.executable, "-c", script, str(stand_in), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ModuleNotFoundError No module named 'absent'",
        f"ImportError {broken}: file too short",
    ]


def test_nothing_needs_a_later_glibc(bundle: Path) -> None:
    files = elf_files(bundle)
    assert len(files) > 5
    here = tuple(map(int, os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")))  # type: ignore[union-attr]  # glibc
    limit = OLDEST_HOST if here <= MADE_PORTABLE else here
    for path in files:
        versions = readelf("--version-info", path)
        assert "GLIBC_ABI" not in versions, path
        wanted = {tuple(map(int, text.split("."))) for text in re.findall(r"Name: GLIBC_([0-9.]+)", versions)}
        assert max(wanted, default=(0,)) <= limit, path
        assert "DT_RELR" not in readelf("--dynamic", path), path


def test_every_library_is_in_the_bundle_or_glibcs(bundle: Path) -> None:
    files = elf_files(bundle)
    here = {path.name for path in files}
    for path in files:
        for library in re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("--dynamic", path)):
            assert library in here or OF_THE_HOST.fullmatch(library), (path, library)


@pytest.mark.c_front
def test_front_door_runs_with_glibc_alone(front: Path, interpreter: Path) -> None:
    for program in (front, interpreter):
        libraries = re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("--dynamic", program))
        assert libraries
        assert all(map(OF_THE_HOST.fullmatch, libraries)), libraries
        assert "RUNPATH" not in readelf("--dynamic", program)


@pytest.mark.c_front
def test_what_is_loaded_into_the_interpreter_finds_what_it_needs_there(bundle: Path, interpreter: Path) -> None:
    need(shutil.which("nm"), "nm (binutils)")

    def symbols(path: Path, *options: str) -> set[str]:
        command = ["nm", "--dynamic", "--without-symbol-versions", *options, str(path)]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return {line.split()[-1] for line in listed.splitlines()}

    extension = next((bundle / "_internal").glob("python3*/lib-dynload/_json.*.so"), None)
    if extension is None:
        pytest.skip("all C modules that the interpreter uses are linked in")
    wanted = {name for name in symbols(extension, "--undefined-only") if name.startswith(("Py", "_Py"))}
    assert wanted
    assert wanted <= symbols(interpreter, "--defined-only")


def test_nothing_of_the_build_machine_is_in_it(bundle: Path) -> None:
    checkout = str(Path(__file__).parents[2]).encode()
    need(len(checkout) > 4, "a checkout that is not at the root of the file system")
    assert not [path for path in bundle.rglob("*") if path.is_file() and checkout in path.read_bytes()]


@pytest.mark.parametrize("module", ["mypy", "pytest", "hypothesis", "setuptools", "PyInstaller"])
def test_nothing_of_the_development_environment_is_in_it(bundle: Path, module: str) -> None:
    archive = CArchiveReader(str(bundle / "eni-ledger-cli")).open_embedded_archive("PYZ.pyz")
    assert not [name for name in archive.toc if name.split(".")[0] == module]
    assert not (bundle / "_internal" / module).exists()


def test_command_line_has_what_it_imports_only_when_asked(bundle: Path) -> None:
    archive = CArchiveReader(str(bundle / "eni-ledger-cli")).open_embedded_archive("PYZ.pyz")
    source = Path(__file__).parents[2] / "cni"
    names = {path.relative_to(source).with_suffix("") for path in (source / "eni_ledger").rglob("*.py")}
    assert {".".join(name.parts).removesuffix(".__init__") for name in names} <= archive.toc.keys()
