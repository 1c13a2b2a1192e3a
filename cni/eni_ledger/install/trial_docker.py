"""The proof in a container that Docker makes: the agent's image if the host has it, an empty one otherwise.

Docker Engine API, in the version that the daemon itself prefers: late ones refuse early versions. Nothing here is newer
than 1.25, which the agent needs for `awsvpc`.
What is made there (a container, without an image of the agent's an empty image) is removed again.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import struct
import tarfile
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote

from eni_ledger.base.errors import InstallError
from eni_ledger.install import trial as trials
from eni_ledger.install.layout import FRONT, IN_CONTAINER
from eni_ledger.install.trial import Unprovable

SOCKET = "/var/run/docker.sock"
AGENT_IMAGE = "amazon/amazon-ecs-agent:latest"  # ecs-init/config/common.go
_EMPTY_IMAGE = "eni-ledger-proof:latest"
_PATIENCE = 60.0  # seconds for one request
_STDERR = 2


class DockerEngine:
    """Docker's API at a socket. Every method raises Unprovable when Docker does not do what it is asked."""

    def __init__(self, path: str = SOCKET) -> None:
        self.path = path
        self._prefix = ""

    def answers(self) -> bool:
        """Tell whether there is a Docker here."""
        try:
            self._prefix = ""
            found = json.loads(self.ask("GET", "/version"))
            self._prefix = f"/v{found['ApiVersion']}"
        except (Unprovable, ValueError, KeyError, TypeError):
            return False
        return True

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        """Return the answer to one request."""
        connection = self._connect()
        try:
            connection.request(method, self._prefix + path, body, {"Content-Type": kind} if body is not None else {})
            response = connection.getresponse()
            data = response.read()
        except (OSError, HTTPException) as exc:
            raise Unprovable(f"Docker does not answer: {exc}") from exc
        finally:
            connection.close()
        _accept(response, data)
        return data

    def run(self, container: str, stdin: bytes) -> tuple[int, bytes, bytes]:
        """Start a container that was created with its standard streams attached; return status, stdout and stderr."""
        connection = self._connect()
        try:
            path = f"{self._prefix}/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1"
            connection.request("POST", path, headers={"Upgrade": "tcp", "Connection": "Upgrade"})
            response = connection.getresponse()
            if response.status != 101:
                _accept(response, response.read())
                raise Unprovable(f"Docker does not attach: status {response.status}")
            stream = connection.sock
            self.ask("POST", f"/containers/{container}/start")
            stream.sendall(stdin)
            stream.shutdown(socket.SHUT_WR)
            said = _frames(response)
        except (OSError, HTTPException) as exc:
            raise Unprovable(f"Docker does not attach: {exc}") from exc
        finally:
            connection.close()
        ended = json.loads(self.ask("POST", f"/containers/{container}/wait"))
        return int(ended["StatusCode"]), *said

    def _connect(self) -> HTTPConnection:
        connection = HTTPConnection("docker", timeout=_PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(_PATIENCE)
        try:
            connection.sock.connect(self.path)
        except OSError as exc:
            connection.close()
            raise Unprovable(f"no Docker at {self.path}: {exc.strerror}") from exc
        return connection


def prove_in_container(docker: DockerEngine, bundle: str) -> str:
    """Call the bundle in a container like the agent's; return what was shown, one sentence.

    Raises InstallError when the bundle fails, Unprovable when Docker does not make or run the container.
    """
    if _has_image(docker, AGENT_IMAGE):
        _in_container(docker, bundle, AGENT_IMAGE, [_capabilities])
        return f"in a container of {AGENT_IMAGE}: its own vpc-branch-eni answers through the bundle"
    docker.ask("POST", f"/images/create?fromSrc=-&repo={quote(_EMPTY_IMAGE, safe=':')}", _tar({}), "application/x-tar")
    try:
        _in_container(docker, bundle, _EMPTY_IMAGE, [_version, _add])
    finally:
        with contextlib.suppress(Unprovable):
            docker.ask("DELETE", f"/images/{_EMPTY_IMAGE}?force=1")
    return "in a container from scratch with the agent's binds: VERSION answered, an ADD passed on and recorded"


def _has_image(docker: DockerEngine, name: str) -> bool:
    try:
        docker.ask("GET", f"/images/{name}/json")
    except Unprovable:
        return False
    return True


Trial = tuple[trials.TrialCall, list[str], Callable[[DockerEngine, str, tuple[int, bytes, bytes]], None]]


def _capabilities() -> Trial:
    call = trials.TrialCall(trials.AS_PLUGIN, {}, b"")
    return call, ["--capabilities"], lambda _docker, _container, said: trials.judge_capabilities(*said)


def _version() -> Trial:
    return trials.version_call(), [], lambda _docker, _container, said: trials.judge_version(*said)


def _add() -> Trial:
    return trials.add_call(), [], _judge_add


def _judge_add(docker: DockerEngine, container: str, said: tuple[int, bytes, bytes]) -> None:
    ledger = None
    with contextlib.suppress(Unprovable):
        data = docker.ask("GET", f"/containers/{container}/archive?path={quote(trials.LEDGER)}")
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            first = tar.next()
            content = tar.extractfile(first) if first is not None and first.isreg() else None
            ledger = content.read() if content else None
    trials.judge_add(*said, ledger)


def _in_container(docker: DockerEngine, bundle: str, image: str, trials: list[Callable[[], Trial]]) -> None:
    """Run each trial in a container of its own."""
    for trial in trials:
        call, arguments, judge = trial()
        config = _container(bundle, image, call, arguments)
        made = json.loads(docker.ask("POST", "/containers/create", json.dumps(config).encode()))
        container = str(made["Id"])
        try:
            archive = _tar(_contents(stand_in=image == _EMPTY_IMAGE))
            docker.ask("PUT", f"/containers/{container}/archive?path=/", archive, "application/x-tar")
            judge(docker, container, docker.run(container, call.stdin))
        finally:
            with contextlib.suppress(Unprovable):
                docker.ask("DELETE", f"/containers/{container}?force=1&v=1")


def _container(bundle: str, image: str, call: trials.TrialCall, arguments: list[str]) -> dict[str, Any]:
    """Return the container as amazon-ecs-init makes the agent's, without what a proof has no use for."""
    binds = [f"{host}:{inside}:ro" for host, inside in (*trials.LIBRARIES, trials.PROC) if os.path.isdir(host)]
    return {
        "Image": image,
        "Entrypoint": [call.path],
        "Cmd": arguments,
        "Env": [f"{key}={value}" for key, value in call.env.items()],
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            "Binds": [*binds, f"{bundle}:{IN_CONTAINER}/bundle:ro"],
            "CapAdd": ["NET_ADMIN", "SYS_ADMIN"],
            "Init": True,
            "NetworkMode": "host",
            "UsernsMode": "host",
        },
    }


def _contents(*, stand_in: bool) -> dict[str, str | bytes]:
    """Return what goes into the container: a link for each text, a file for each bytes."""
    contents: dict[str, str | bytes] = {
        trials.AS_PLUGIN: f"../bundle/{FRONT}",
        f"{IN_CONTAINER}/config.json": json.dumps(trials.SETTINGS).encode(),
    }
    if stand_in:
        contents[f"{trials.DELEGATES}/vpc-branch-eni"] = trials.STAND_IN
    return contents


def _tar(contents: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        made: set[str] = set()
        for path, content in contents.items():
            for parent in reversed(Path(path.lstrip("/")).parents[:-1]):
                if str(parent) not in made:
                    made.add(str(parent))
                    info = tarfile.TarInfo(str(parent))
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(info)
            info = tarfile.TarInfo(path.lstrip("/"))
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size, info.mode = len(content), 0o644
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _frames(response: HTTPResponse) -> tuple[bytes, bytes]:
    """Return stdout and stderr from an attached stream: frames with a head of 8 bytes, kind and length."""
    streams = {1: b"", _STDERR: b""}
    source = response.fp
    while len(head := source.read(8)) == 8:
        kind, length = struct.unpack(">BxxxL", head)
        streams[kind if kind == _STDERR else 1] += source.read(length)
    return streams[1], streams[_STDERR]


def _accept(response: HTTPResponse, data: bytes) -> None:
    """Raise Unprovable with Docker's words when it did not do what it was asked."""
    if response.status < 400:
        return
    try:
        words = json.loads(data)["message"]
    except (ValueError, KeyError, TypeError):
        words = f"status {response.status}"
    raise Unprovable(f"Docker refuses: {words:.300}")


__all__ = ["DockerEngine", "InstallError", "prove_in_container"]
