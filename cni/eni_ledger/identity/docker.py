"""The task of a pause container and the containers that share its network. Asked of Docker's socket.

Source: amazon-ecs-agent, `agent/engine/docker_task_engine.go` (labels `com.amazonaws.ecs.*`; the hostname of the pause
container is the private DNS name of the ENI); Docker Engine API, `GET /_ping` (header `Api-Version`), `GET
/containers/json` and `GET /containers/{id}/json` (`HostConfig.NetworkMode` is ``container:<ID>`` where a container
shares the network of another one). Engines refuse versions of the API that are too old for them or too new, so the
engine is asked which one it speaks.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any, NamedTuple

from eni_ledger.base.host import DOCKER_SOCKET
from eni_ledger.base.http_client import AnswerTooLong, HttpAnswer, HttpError, HttpServer, HttpTimeout
from eni_ledger.identity.containers import container, is_id, listed, name_of
from eni_ledger.identity.source import ATTACHED, Unavailable
from eni_ledger.ledger.format.live import CONTAINERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Fields

#: What `inspect` says of a container with a few hundred labels and mounts is a tenth of a megabyte; the list has one or
#: two kilobytes for each container, also for those that have stopped.
ANSWER_MAX = 16 << 20

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
_SHARED = "container:"
_SHORTEST_START = 6


class Sharer(NamedTuple):
    """A container: ID and name that Docker has for it, and the ID of the container whose network it uses."""

    docker_id: str
    name: str
    network_of: str


class DockerSource:
    """The Docker engine that listens on the socket `path`. It is asked for its list of containers once.

    `timeout_s` bounds each step of an answer. Without `versioned` it is not asked first which version it speaks: then
    the answer is of its newest one.
    """

    name = "docker"
    gives = frozenset((*_LABELS, *ATTACHED))
    past = True

    def __init__(self, path: str = DOCKER_SOCKET, timeout_s: float = 2.0, *, versioned: bool = True) -> None:
        self._path = path
        self._server = HttpServer(path, timeout_s, ANSWER_MAX)
        self._prefix: str | None = None if versioned else ""
        self._list: list[Any] | None = None

    def ask(self, association: Fields) -> Fields:
        """Return task and containers of the association's container, {} if it is of no task.

        Raises Unavailable when Docker does not answer.
        """
        about = self.inspect(str(association.get("container_id") or ""))
        config = _object(about, "Config")
        labels = _object(config, "Labels")
        task = {key: _text(labels.get(_LABEL + label)) for key, label in _LABELS.items()}
        if task["cluster"]:
            task["cluster"] = task["cluster"].rpartition("/")[2]  # a name or an ARN, as the agent was configured
        if not task["task_arn"]:
            return {}
        docker_id, hostname = str(about.get("Id") or ""), name_of(config.get("Hostname"))
        if hostname and docker_id.startswith(hostname):  # Docker's own choice: the ENI has no private DNS name
            hostname = None
        attached = {"private_dns_name": hostname, "pause_name": _name(about), CONTAINERS: self._sharing(docker_id)}
        return {key: value for key, value in (task | attached).items() if value}

    def sharer(self, text: str) -> Sharer | None:
        """Return the container with this name or ID, or the start of one from six characters on, None for none.

        Raises Unavailable.
        """
        about = self.inspect(text)
        docker_id, name = str(about.get("Id")), _name(about) or ""
        if not is_id(docker_id):
            return None
        if text != name and not (len(text) >= _SHORTEST_START and docker_id.startswith(text.lower())):
            return None
        mode = str(_object(about, "HostConfig").get("NetworkMode") or "")
        owner = mode.removeprefix(_SHARED) if mode.startswith(_SHARED) else docker_id
        if not is_id(owner):
            owner = str(self.inspect(owner).get("Id"))
        return Sharer(docker_id, name, owner) if is_id(owner) else None

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what Docker knows of the container with this ID or name, {} if it has none. Raises Unavailable."""
        if not _CONTAINER.fullmatch(name):
            return {}
        found = self._json(f"/containers/{name}/json")
        if not isinstance(found, dict | None):
            raise Unavailable("Docker's answer is no container", self._path)
        return found or {}

    def _sharing(self, docker_id: str) -> list[dict[str, str]]:
        """Return the containers that share the network of this one, running or not."""
        if self._list is None:
            answer = self._json("/containers/json?all=1")
            self._list = [each for each in answer if isinstance(each, dict)] if isinstance(answer, list) else []
        mode = _SHARED + docker_id
        mine = [each for each in self._list if _object(each, "HostConfig").get("NetworkMode") == mode]
        return listed(
            container(each.get("Id"), _object(each, "Labels").get(_LABEL + "container-name"), _name(each))
            for each in mine
        )

    def _json(self, path: str) -> object:
        """Return the answer to a GET, None if there is no such thing. Raises Unavailable."""
        if self._prefix is None:
            _, headers, _ = self._get("/_ping")
            version = headers.get("Api-Version", "")
            self._prefix = f"/v{version}" if _VERSION.fullmatch(version) else ""
        status, _, body = self._get(self._prefix + path)
        if status == HTTPStatus.NOT_FOUND:
            return None
        try:
            answer: object = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise Unavailable("Docker's answer is not JSON", f"{self._path}: {exc}") from exc
        if status != HTTPStatus.OK:
            raise Unavailable("Docker refuses to answer", f"{self._path}: status {status}")
        return answer

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


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an object in a JSON object, an empty one for anything else."""
    found = parent.get(key)
    return found if isinstance(found, dict) else {}


def _name(about: dict[str, Any]) -> str | None:
    """Return the name in an answer: one, or a list in which links of other containers have names too (`/other/alias`).

    Docker puts a slash before it.
    """
    names = about.get("Names")
    every = names if isinstance(names, list) else [about.get("Name")]
    return next((name_of(each[1:]) for each in every if isinstance(each, str) and each.rfind("/") == 0), None)


def _text(value: object) -> str | None:
    """Return a label as AWS names things; an image may carry labels of its own, with anything in them."""
    if isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= _TEXT_MAX:
        return value or None
    return None
