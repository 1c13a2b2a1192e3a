"""Copies of the work tree with an environment of their own, in which mutants are made and tests run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import venv
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mutants.mutations import Mutant

REPOSITORY = Path(__file__).parents[2]
PACKAGE = Path("cni/eni_ledger")


class Copy:
    """A copy of the work tree's files in `directory`, with a virtual environment whose eni_ledger is the copy's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=REPOSITORY, capture_output=True, check=True).stdout.split(b"\0"):
            source = REPOSITORY / os.fsdecode(name)
            if name and (source.is_file() or source.is_symlink()):
                target = directory / os.fsdecode(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
        venv.create(directory / ".venv", symlinks=True)
        self.python = directory / ".venv/bin/python"
        # A .pth file inside a borrowed directory is not followed, so the work tree's editable install stays out.
        site = directory / f".venv/lib/python{sysconfig.get_python_version()}/site-packages"
        (site / "copy.pth").write_text(f"{directory / 'cni'}\n{sysconfig.get_path('purelib')}\n")
        self._age = 0

    def pytest(self, arguments: Sequence[str], env: Mapping[str, str]) -> tuple[int, str]:
        """Run pytest in the copy; return its status and output. Processes that it leaves behind are killed."""
        scratch = self.directory.with_name(f"{self.directory.name}-tmp")
        command: list[str | Path] = [
            self.python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "mutants.plugin",
        ]
        with tempfile.TemporaryFile("w+", errors="replace") as output:  # not a pipe, which those would hold open
            with subprocess.Popen(
                [*command, f"--basetemp={scratch}", *arguments],
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": "tests", "MUTANTS_PACKAGE": str(self.directory / PACKAGE), **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process:
                try:
                    process.wait()
                finally:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
            output.seek(0)
            return process.returncode, output.read()

    @contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        """Make the module the mutant, for as long as the context lasts."""
        original = (self.directory / PACKAGE / mutant.module).read_text()
        self._write(mutant.module, mutant.source)
        try:
            yield
        finally:
            self._write(mutant.module, original)

    def _write(self, module: str, source: str) -> None:
        path = self.directory / PACKAGE / module
        path.write_text(source)
        # Byte code goes by second and size: two mutants of one second would be taken for each other.
        self._age += 10
        os.utime(path, (self._age, self._age))
