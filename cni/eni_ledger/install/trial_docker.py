"""Proves a bundle in a Docker container: from the agent's image if the host has it, from an empty image otherwise.

Docker Engine API, in the version that the daemon prefers: late daemons refuse early versions. Nothing here is newer
than 1.25, which the agent needs for `awsvpc`. The container is removed afterwards, and so is the empty image.
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
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote

from eni_ledger.base.host import DOCKER_SOCKET
from eni_ledger.base.http_client import HttpError, HttpServer
from eni_ledger.install import trial as trials
from eni_ledger.install.layout import FRONT, IN_CONTAINER
from eni_ledger.install.trial import Unprovable

AGENT_IMAGE = "amazon/amazon-ecs-agent:latest"  # ecs-init/config/common.go
_EMPTY_IMAGE = "eni-ledger-proof:latest"
_TIMEOUT_S = 60.0
_ANSWER_MAX = 16 << 20  # bytes; the longest is the archive of a ledger with one event
_STDERR = 2


class DockerEngine:
    """Docker's API at a socket. Every method but `answers` raises Unprovable when Docker refuses or does not answer."""

    def __init__(self, path: str = DOCKER_SOCKET) -> None:
        self.path = path
        self._server = HttpServer(path, _TIMEOUT_S, _ANSWER_MAX)
        self._prefix = ""

    def answers(self) -> bool:
        """Tell whether Docker listens at the socket, and take its API version for the requests that follow."""
        try:
            self._prefix = ""
            version = json.loads(self.ask("GET", "/version"))
            self._prefix = f"/v{version['ApiVersion']}"
        except (Unprovable, ValueError, KeyError, TypeError):
            return False
        return True

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        """Return the body of the answer to one request."""
        headers = {"Content-Type": kind} if body is not None else {}
        try:
            answer = self._server.request(method, self._prefix + path, body, headers)
        except HttpError as exc:
            raise Unprovable(f"no answer from Docker at {self.path}: {exc}") from exc
        _accept(answer.status, answer.body)
        return answer.body

    def run(self, container: str, stdin: bytes) -> tuple[int, bytes, bytes]:
        """Start a created container with its standard streams attached; return status, stdout and stderr."""
        path = f"{self._prefix}/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1"
        try:
            upgrade = {"Upgrade": "tcp", "Connection": "Upgrade"}
            with self._server.exchange("POST", path, headers=upgrade) as (stream, response):
                if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
                    _accept(response.status, response.read(_ANSWER_MAX))
                    raise Unprovable(f"Docker does not attach: status {response.status}")
                self.ask("POST", f"/containers/{container}/start")
                stream.sendall(stdin)
                stream.shutdown(socket.SHUT_WR)
                stdout, stderr = _frames(response)
        except HttpError as exc:
            raise Unprovable(f"Docker does not attach: {exc}") from exc
        ended = json.loads(self.ask("POST", f"/containers/{container}/wait"))
        return int(ended["StatusCode"]), stdout, stderr


def prove_in_container(docker: DockerEngine, bundle: str) -> str:
    """Call the bundle in a container like the agent's; return the proof in one sentence.

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
    return call, ["--capabilities"], lambda _docker, _container, result: trials.judge_capabilities(*result)


def _version() -> Trial:
    return trials.version_call(), [], lambda _docker, _container, result: trials.judge_version(*result)


def _add() -> Trial:
    return trials.add_call(), [], _judge_add


def _judge_add(docker: DockerEngine, container: str, result: tuple[int, bytes, bytes]) -> None:
    ledger = None
    with contextlib.suppress(Unprovable):
        data = docker.ask("GET", f"/containers/{container}/archive?path={quote(trials.LEDGER)}")
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            first = tar.next()
            content = tar.extractfile(first) if first is not None and first.isreg() else None
            ledger = content.read() if content else None
    trials.judge_add(*result, ledger)


def _in_container(docker: DockerEngine, bundle: str, image: str, trials: list[Callable[[], Trial]]) -> None:
    """Run each trial in its own container."""
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
    """Return the configuration that amazon-ecs-init gives the agent's container, as far as a proof needs it."""
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
    """Return the contents of the container by path: str is the target of a link, bytes are a file."""
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
    """Return stdout and stderr of an attached stream: frames with an 8-byte header of kind and length."""
    streams = {1: b"", _STDERR: b""}
    source = response.fp
    while len(head := source.read(8)) == 8:
        kind, length = struct.unpack(">BxxxL", head)
        streams[kind if kind == _STDERR else 1] += source.read(length)
    return streams[1], streams[_STDERR]


def _accept(status: int, body: bytes) -> None:
    """Raise Unprovable with Docker's message when the status is an error."""
    if status < HTTPStatus.BAD_REQUEST:
        return
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = f"status {status}"
    raise Unprovable(f"Docker refuses: {message:.300}")
