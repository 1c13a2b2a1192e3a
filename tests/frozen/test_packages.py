"""The packages as build/package makes them: what is in them, that they run in an empty root, that they are the same
whenever they are made from the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from eni_ledger.cli.main import COMMANDS
from helpers.patience import PATIENCE_S
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPOSITORY = Path(__file__).parents[2]
EPOCH = "1763600000"
KEY = "release@example.org"


@pytest.fixture(scope="session")
def rpm() -> None:
    """Need what packages are made with."""
    need(shutil.which("rpmbuild") and shutil.which("dpkg-deb"), "rpmbuild and dpkg-deb; build/setup installs them")


def build(
    bundle: Path, out: Path, *arguments: str, umask: int = 0o022, env: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run build/package for a bundle, with a fixed time."""
    command: list[str | Path] = [REPOSITORY / "build/package", "--bundle", bundle, "--out", out, *arguments]
    env = {**env, "SOURCE_DATE_EPOCH": EPOCH}
    return subprocess.run(
        command, env=env, umask=umask, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@pytest.fixture(scope="session")
def own(bundle: Path) -> str:
    """Return the version that the program says it is."""
    shown = subprocess.run([bundle / "eni-ledger", "--version"], capture_output=True, text=True, check=True).stdout
    return shown.split()[-1]


@pytest.fixture(scope="session")
def version(own: str) -> str:
    """Return the version of the packages, which has a suffix."""
    return f"{own}~rc1"


@pytest.fixture(scope="session")
def packages(rpm: None, bundle: Path, version: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the packages by kind: `gz`, `rpm`, `deb`."""
    out = tmp_path_factory.mktemp("packages") / "new/directory"
    done = build(bundle, out, "--no-smoke", "--version", version)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        size, name = line.split()
        assert Path(name).stat().st_size == int(size)
    found = {path.suffix[1:]: path for path in out.iterdir() if path.suffix}
    assert len(done.stdout.splitlines()) == len(found) + 1 == 5
    assert all(version in path.name for path in found.values())
    return found


@dataclass
class Again:
    """A second build of the same, with `--sign`, and as a `release` where no bundled part is known to be `outdated`."""

    done: subprocess.CompletedProcess[str]
    out: Path
    release: bool
    outdated: list[str]
    env: dict[str, str]


@pytest.fixture(scope="module")
def again(
    packages: dict[str, Path], bundle: Path, version: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Again]:
    """Return the outcome of a build from another directory, with another inode order, other times, another umask."""
    need(shutil.which("apt-cache"), "apt-cache")
    need(shutil.which("gpg"), "gpg")
    where = tmp_path_factory.mktemp("again")
    other = shutil.copytree(bundle, where / "bundle", symlinks=True, copy_function=shutil.copy)
    home = where / "gnupg"
    home.mkdir(mode=0o700)
    env = {**os.environ, "GNUPGHOME": str(home)}
    make = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", KEY, "default", "default", "never"]
    subprocess.run(make, check=True, capture_output=True, env=env)
    outdated: list[str | Path] = [sys.executable, REPOSITORY / "build/package.d/outdated.py", bundle]
    old = subprocess.run(outdated, capture_output=True, text=True, check=False)
    named = [line.split()[0] for line in old.stdout.splitlines()]
    release = old.returncode == 0
    more = ["--version", version, "--sign", KEY, *(("--release",) if release else ())]
    try:
        done = build(other, where / "out", "--no-smoke", *more, umask=0o077, env=env)
        yield Again(done, where / "out", release, named, env)
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=False, capture_output=True, env=env)


@pytest.fixture(scope="session")
def glibc(bundle: Path) -> str:
    """Return the version of glibc that the bundle needs, by what readelf shows."""
    need(shutil.which("readelf"), "readelf (binutils)")
    files = [path for path in bundle.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    command: list[str | Path] = ["readelf", "--wide", "--version-info", *files]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return ".".join(
        map(str, max(tuple(map(int, text.split("."))) for text in re.findall(r"Name: GLIBC_([0-9.]+)", shown)))
    )


def contents(package: Path) -> dict[str, tarfile.TarInfo]:
    """Return the entries of a tar.gz or a deb by their path on the host."""
    if package.suffix == ".deb":
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True).stdout
        unpacked = package.with_suffix(".tar")
        unpacked.write_bytes(data)
        package = unpacked
    with tarfile.open(package) as archive:
        return {f"/{PurePosixPath(entry.name)}": entry for entry in archive}


def rpm_query(package: Path, *query: str) -> list[str]:
    """Return the lines of the answer, the empty ones left out."""
    command: list[str | Path] = ["rpm", "-qp", *query, package]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if line]


def test_lintian_finds_nothing_without_a_reason(packages: dict[str, Path]) -> None:
    need(shutil.which("lintian"), "lintian; build/setup installs it")
    command: list[str | Path] = ["lintian", "--allow-root", "--fail-on", "error,warning", packages["deb"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith(("E:", "W:"))]
    assert (found, done.returncode) == ([], 0), done.stderr


def test_rpmlint_finds_nothing_without_a_reason(packages: dict[str, Path]) -> None:
    need(shutil.which("rpmlint"), "rpmlint; build/setup installs it")
    reasons = REPOSITORY / "build/package.d/rpmlint.toml"
    command: list[str | Path] = ["rpmlint", "--config", reasons, packages["rpm"]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    found = [line for line in done.stdout.splitlines() if re.search(r": [EW]: ", line)]
    assert (found, done.returncode) == ([], 0), done.stderr


@pytest.mark.parametrize("name", ["lintian-overrides", "rpmlint.toml"])
def test_each_exception_has_its_reason_above(name: str) -> None:
    reasoned = False
    for line in (REPOSITORY / "build/package.d" / name).read_text().splitlines():
        if re.match(r"(eni-ledger: |    \")", line):
            assert reasoned, line
        else:
            reasoned = line.strip().startswith("#")


@pytest.mark.parametrize("kind", ["gz", "deb", "rpm"])
def test_runs_in_an_empty_root_survives_an_upgrade_and_leaves_the_ledger(packages: dict[str, Path], kind: str) -> None:
    done = subprocess.run(
        [REPOSITORY / "build/package.d/smoke", packages[kind]],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    need(done.returncode != 77, f"namespaces to try packages in: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert packages[kind].name in done.stderr


def test_the_same_bytes_again(packages: dict[str, Path], again: Again) -> None:
    assert again.done.returncode == 0, again.done.stderr
    for kind, package in packages.items():
        other = again.out / package.name
        assert other.read_bytes() == package.read_bytes(), kind


def test_checksums(packages: dict[str, Path]) -> None:
    (out,) = {path.parent for path in packages.values()}
    lines = (line.split("  ") for line in (out / "SHA256SUMS").read_text().splitlines())
    assert {name: digest for digest, name in lines} == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in packages.values()
    }


def test_tar_gz_has_nothing_of_directories_that_are_others(packages: dict[str, Path]) -> None:
    # Unpacked into /, an entry for /usr or /opt would change its owner and mode, or replace a link.
    for name, entry in contents(packages["gz"]).items():
        assert (entry.uid, entry.gid, entry.uname, entry.mtime) == (0, 0, "", int(EPOCH)), name
        if entry.isdir():
            assert "/eni-ledger" in name
        assert entry.mode in ((0o777,) if entry.issym() else (0o755, 0o644)), name


@pytest.mark.parametrize("kind", ["gz", "deb"])
def test_what_is_where(packages: dict[str, Path], bundle: Path, kind: str) -> None:
    found = contents(packages[kind])
    assert found["/usr/bin/eni-ledger"].linkname == "/opt/eni-ledger/eni-ledger"
    zsh = "vendor-completions" if kind == "deb" else "site-functions"
    wanted = {
        "/opt/eni-ledger/eni-ledger-cli",
        "/usr/lib/systemd/catalog/eni-ledger.catalog",
        "/usr/share/eni-ledger/schema/event.json",
        "/usr/share/eni-ledger/config.json",
        *(("/usr/share/lintian/overrides/eni-ledger",) if kind == "deb" else ()),
        "/usr/share/bash-completion/completions/eni-ledger",
        f"/usr/share/zsh/{zsh}/_eni-ledger",
        "/usr/share/fish/vendor_completions.d/eni-ledger.fish",
        "/usr/share/licenses/eni-ledger/LICENSE",
        *(f"/usr/share/man/man1/eni-ledger{page}.1.gz" for page in ("", *(f"-{name}" for name in COMMANDS))),
    }
    wanted |= {f"/usr/lib/systemd/system/{path.name}" for path in (REPOSITORY / "conf/systemd").iterdir()}
    wanted |= {f"/opt/eni-ledger/{path.relative_to(bundle)}" for path in bundle.rglob("*")}
    assert wanted <= found.keys()
    # No ledger and no configuration of the host's: what is not in the package is not removed with it.
    assert not [name for name in found if name.startswith(("/var", "/etc"))]


def test_rpm_has_what_the_tar_gz_has(packages: dict[str, Path]) -> None:
    assert set(rpm_query(packages["rpm"], "--list")) == contents(packages["gz"]).keys()


def test_rpm_header(packages: dict[str, Path], version: str, glibc: str) -> None:
    package = packages["rpm"]
    # /bin/sh is for the scripts, rpmlib(...) for rpm itself.
    needed = {line for line in rpm_query(package, "--requires") if not line.startswith(("rpmlib(", "/bin/sh"))}
    assert needed == {f"glibc >= {glibc}", "libz.so.1()(64bit)"}
    wanted = "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{BUILDHOST} %{BUILDTIME}"
    shown = f"eni-ledger {version} 1.amzn2023 {os.uname().machine} localhost {EPOCH}"
    assert rpm_query(package, "--queryformat", wanted) == [shown]
    provided = {line.split(" = ")[0] for line in rpm_query(package, "--provides")}
    assert all(name.startswith("eni-ledger") for name in provided)
    # A word that was not filled in, or an ampersand that was taken for one
    assert not re.search(r"@[A-Z_]+@", "\n".join(rpm_query(package, "--scripts", "--info")))


def test_deb_header(packages: dict[str, Path], version: str, glibc: str) -> None:
    package = packages["deb"]

    def field(name: str) -> str:
        command: list[str | Path] = ["dpkg-deb", "--field", package, name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    assert [field(name) for name in ("Package", "Version", "Architecture")] == ["eni-ledger", version, architecture]
    assert field("Depends") == f"libc6 (>= {glibc}), zlib1g"
    size = sum(entry.size for entry in contents(package).values()) / 1024
    assert size <= int(field("Installed-Size")) <= size * 1.1


def test_what_the_host_has_to_have_is_said(packages: dict[str, Path], bundle: Path) -> None:
    # The executables have no search path: what they are linked to is the host's, whatever lies in _internal/.
    need(shutil.which("readelf"), "readelf (binutils)")
    for program in ("eni-ledger", "eni-ledger-cli"):
        dynamic = subprocess.run(["readelf", "-d", bundle / program], capture_output=True, text=True, check=True).stdout
        linked = set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic))
        assert linked <= {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libz.so.1"}


def test_licence_texts_of_all_that_is_bundled(packages: dict[str, Path], bundle: Path) -> None:
    entries = contents(packages["gz"])
    licences = "/usr/share/licenses/eni-ledger"
    with tarfile.open(packages["gz"]) as archive:
        file = archive.extractfile(entries[f"{licences}/THIRD-PARTY"])
        assert file is not None
        index = file.read().decode()
    parts = re.findall(r"^(\S+) \S+\n    \S", index, re.M)
    assert {"click", "orjson", "pydantic", "pydantic_core", "pyroute2", "rich", "pyinstaller"} <= set(parts)
    assert any(name.startswith("libpython3") for name in parts)
    for library in (bundle / "_internal").glob("*.so*"):
        assert library.name in index
    for name in parts:
        texts = [entry for path, entry in entries.items() if path.startswith(f"{licences}/third-party/{name}/")]
        assert texts, name
        assert all(text.size for text in texts), name


def test_a_library_without_a_licence_is_refused(rpm: None, copy: Path, tmp_path: Path) -> None:
    library = next((copy / "_internal").glob("libffi.so*"))
    shutil.copy(library, library.with_name("libnobodys.so.7"))
    out = tmp_path / "out"
    done = build(copy, out, "--no-smoke")
    assert done.returncode == 1
    assert "libnobodys.so.7" in done.stderr
    assert not out.exists()


def test_a_package_that_does_not_run_is_refused(rpm: None, copy: Path, own: str, tmp_path: Path) -> None:
    # The parts of the CLI that only some commands need: the program itself still says its version.
    shutil.rmtree(copy / "_internal/orjson")
    out = tmp_path / "out"
    done = build(copy, out)
    need("may make no namespaces" not in done.stderr, "namespaces to try packages in")
    assert done.returncode == 1
    assert f"smoke: eni-ledger-{own}-" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("other", ["9.9.9", "nonsense", "{own}-1", "{own}1", "{own}+a b", "{own}+a/../b"])
def test_version_that_the_program_is_not(rpm: None, bundle: Path, own: str, tmp_path: Path, other: str) -> None:
    done = build(bundle, tmp_path / "out", "--version", other.format(own=own))
    assert done.returncode == 1
    assert f"it is {own}" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("script", ["build/package", "build/package.d/smoke"])
def test_help(script: str) -> None:
    shown = subprocess.run([REPOSITORY / script, "--help"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith(f"usage: {script} ")


def test_usage() -> None:
    command: list[str | Path] = [REPOSITORY / "build/package", "--nonsense"]
    wrong = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_bill_of_materials_is_valid_and_names_all_that_is_bundled(packages: dict[str, Path], own: str) -> None:
    text = packages["json"].read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    assert bom["metadata"]["component"]["version"].startswith(own)
    named = {component["name"] for component in bom["components"]}
    assert {"pydantic", "pyroute2", "orjson", "pyinstaller", "click"} <= named
    assert any(component["purl"].startswith("pkg:deb/debian/libpython3") for component in bom["components"])
    index = Path(packages["gz"]).with_name("index")
    with tarfile.open(packages["gz"]) as archive:
        (third,) = (entry for entry in archive if entry.name.endswith("/THIRD-PARTY"))
        member = archive.extractfile(third)
        assert member
        index.write_bytes(member.read())
    listed = index.read_text()
    assert all(f"\n{component['name']} {component['version']}\n" in listed for component in bom["components"])


def test_a_release_has_no_outdated_part(bundle: Path, again: Again, tmp_path: Path) -> None:
    if again.release:
        assert again.done.returncode == 0, again.done.stderr
        return
    done = build(bundle, tmp_path / "out", "--no-smoke", "--release")
    assert (done.returncode, (tmp_path / "out").exists()) == (1, False)
    assert all(name in done.stderr for name in again.outdated)


def test_checksums_are_signed(again: Again, bundle: Path, tmp_path: Path) -> None:
    assert again.done.returncode == 0, again.done.stderr
    verify = ["gpg", "--batch", "--verify", "SHA256SUMS.asc", "SHA256SUMS"]
    assert subprocess.run(verify, cwd=again.out, env=again.env, check=False, capture_output=True).returncode == 0
    done = build(bundle, tmp_path / "none", "--no-smoke", "--sign", "nobody@example.org", env=again.env)
    assert (done.returncode, (tmp_path / "none").exists()) == (1, False)
    assert "gpg has no secret key nobody@example.org" in done.stderr
