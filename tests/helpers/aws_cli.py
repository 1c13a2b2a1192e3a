"""The AWS CLI, read once and run as often as one likes: a process for each run, forked when everything is imported.

Of the second that a run takes by itself, nine tenths go into importing botocore and reading EC2's model. What is run is
the CLI's own entry point, in a process of its own that ends with its status.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Self

from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Runs in the CLI's Python, which may be the distribution's. A line of stdin is [arguments, file of stdout, file of
# stderr], the answer is the exit status. An alarm ends a run that hangs.
_SERVER = f"""
import json, os, signal, sys, traceback
import awscli.clidriver as cli
driver = cli.create_clidriver()
driver.session.get_service_model("ec2")
entry = cli.AWSCLIEntryPoint(driver) if hasattr(cli, "AWSCLIEntryPoint") else driver
for line in iter(sys.stdin.readline, ""):
    arguments, *files = json.loads(line)
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            signal.alarm({int(PATIENCE_S)})
            for number, name in zip((1, 2), files):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.argv[:] = ["aws", *arguments]
            status = entry.main(arguments)
            sys.stdout.flush()
        except SystemExit as exc:
            status = exc.code
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(int(status or 0) & 255)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class AwsCli:
    """The CLI that `python` imports, with an environment; use as a context manager. Files go into `scratch`."""

    def __init__(self, python: str, scratch: Path, env: Mapping[str, str]) -> None:
        self._out, self._err = scratch / "stdout", scratch / "stderr"
        self._server = subprocess.Popen(
            [python, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate(timeout=PATIENCE_S)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Return what `aws ARGUMENTS` printed, and its exit status."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps([arguments, str(self._out), str(self._err)]) + "\n")
        self._server.stdin.flush()
        status = self._server.stdout.readline()
        assert status, "the process that imported the CLI has ended"
        return subprocess.CompletedProcess(
            ("aws", *arguments), int(status), self._out.read_text(), self._err.read_text()
        )
