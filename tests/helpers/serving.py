"""`eni-ledger serve` as a process of its own, and clients of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROGRAM = [sys.executable, "-c", "import sys; from eni_ledger.cli.main import main; sys.exit(main())"]


class Answer:
    """What the server answered; names of headers in lower case."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)


class Serving:
    """A server: its process, None for one of systemd's, and `url`, where it listens as it says."""

    def __init__(self, process: subprocess.Popen[str] | None, url: str) -> None:
        self.process = process
        self.url = url

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection to it."""
        if self.url.startswith("unix:"):
            return _UnixConnection(self.url.removeprefix("unix:"))
        return http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=PATIENCE_S)

    def ask(self, path: str, method: str = "GET", body: str | bytes | None = None, **headers: str) -> Answer:
        """Send one request; underscores in names of headers are hyphens."""
        connection = self.connection()
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def ec2(self, form: str, **headers: str) -> Answer:
        """Send a form to EC2's endpoint."""
        return self.ask("/", "POST", form, **{"Content-Type": "application/x-www-form-urlencoded", **headers})


@contextmanager
def serving(state_dir: Path, *arguments: str, env: Mapping[str, str] | None = None, **more: Any) -> Iterator[Serving]:
    """Run the server on a free port, unless `arguments` say where; end it as systemd does, and require status 0."""
    listen = () if "--listen" in arguments or env else ("--listen", "127.0.0.1:0")
    config = state_dir.parent / "serve.json"
    config.write_text("{}")
    with subprocess.Popen(
        [*PROGRAM, "serve", "--state-dir", str(state_dir), *listen, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ENI_LEDGER_CONFIG": str(config), **(env or {})},
        **more,
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        try:
            assert line, "it did not start"
            yield Serving(process, line.removeprefix("listening on ").strip())
        finally:
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "Traceback" not in err, err
