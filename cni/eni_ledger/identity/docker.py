"""The task of a pause container, from the labels that the ECS agent gives each container. Asked of Docker's socket.

Source: amazon-ecs-agent, `agent/engine/docker_task_engine.go` (labels `com.amazonaws.ecs.*`); Docker Engine API,
`GET /_ping` (header `Api-Version`) and `GET /containers/{id}/json`. Engines refuse versions of the API that are too old
for them or too new, so the engine is asked which one it speaks.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from eni_ledger.base.http_client import AnswerTooLong, HttpAnswer, HttpError, HttpServer, HttpTimeout
from eni_ledger.identity.source import Fields, Unavailable

SOCKET = "/var/run/docker.sock"
#: What `inspect` says of a container with a few hundred labels and mounts is a tenth of this.
ANSWER_MAX = 4 << 20

_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}")
_LABEL = "com.amazonaws.ecs."
_LABELS = {
    "task_arn": "task-arn",
    "cluster": "cluster",
    "task_family": "task-definition-family",
    "task_revision": "task-definition-version",
}
_TEXT_MAX = 512


class DockerSource:
    """The Docker engine that listens on the socket `path`."""

    name = "docker"
    gives = frozenset(_LABELS)
    past = True

    def __init__(self, path: str = SOCKET, timeout_s: float = 2.0) -> None:
        self._path = path
        self._server = HttpServer(path, timeout_s, ANSWER_MAX)
        self._prefix: str | None = None

    def ask(self, association: dict[str, Any]) -> Fields:
        """Return the task of the association's container. Raises Unavailable when Docker does not answer."""
        container = str(association.get("container_id") or "")
        if not _CONTAINER.fullmatch(container):
            return {}
        about = self.inspect(container)
        labels = about.get("Config", {}).get("Labels") if isinstance(about.get("Config"), dict) else None
        if not isinstance(labels, dict):
            return {}
        task = {key: _text(labels.get(_LABEL + label)) for key, label in _LABELS.items()}
        if task["cluster"]:
            task["cluster"] = task["cluster"].rpartition("/")[2]  # a name or an ARN, as the agent was configured
        return {key: value for key, value in task.items() if value} if task["task_arn"] else {}

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what Docker knows of a container, {} when it does not have it. Raises Unavailable."""
        if self._prefix is None:
            _, headers, _ = self._get("/_ping")
            version = headers.get("Api-Version", "")
            self._prefix = f"/v{version}" if _VERSION.fullmatch(version) else ""
        status, _, body = self._get(f"{self._prefix}/containers/{container}/json")
        if status == HTTPStatus.NOT_FOUND:
            return {}
        try:
            container_json = json.loads(body)
        except ValueError as exc:
            raise Unavailable("Docker's answer is not JSON", f"{self._path}: {exc}") from exc
        if status != HTTPStatus.OK or not isinstance(container_json, dict):
            raise Unavailable("Docker refuses to answer", f"{self._path}: status {status}")
        return container_json

    def _get(self, path: str) -> HttpAnswer:
        try:
            return self._server.request("GET", path)
        except HttpTimeout as exc:
            raise Unavailable("Docker does not answer in time", f"{self._path}: {exc}") from exc
        except AnswerTooLong as exc:
            raise Unavailable("Docker's answer is too long", f"{self._path}: {exc}") from exc
        except HttpError as exc:
            hint = "run it as root, where Docker runs"
            raise Unavailable("Docker cannot be asked", f"{self._path}: {exc}", hint, absent=exc.absent) from exc


def _text(value: object) -> str | None:
    """Return a label as AWS names things; an image may carry labels of its own, with anything in them."""
    if isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= _TEXT_MAX:
        return value or None
    return None
