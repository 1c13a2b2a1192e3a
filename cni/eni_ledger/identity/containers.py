"""The containers of a task beside its pause container, as `containers` of an `identify` event has them.

They are made after the ADD, some of them long after it, so only `identify` looks for them. In agent.db they are in the
bucket `containers`. Source: amazon-ecs-agent, `agent/data/container_client.go` (the key: task ID, `-`, name) and
`agent/api/container` (`DockerId`, `DockerName`, and `Container` with `Name` and the type, whose JSON name is
`IsInternal`). The agent saves a container before Docker has made it; then `DockerId` is empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eni_ledger.base import minijson
from eni_ledger.identity import bolt
from eni_ledger.ledger.format.live import CONTAINERS_MAX

NAME_MAX = 255
"""Longest name in characters. ECS allows 255 for a container; Docker has no limit of its own."""

_ID_LENGTH = 64
_HEX = frozenset("0123456789abcdef")
_PAUSE_TYPE, _PAUSE_NAME = "CNI_PAUSE", "~internal~ecs~pause"


def is_id(text: object) -> bool:
    """Return whether `text` is a whole Docker ID."""
    return isinstance(text, str) and len(text) == _ID_LENGTH and _HEX.issuperset(text)


def name_of(value: object) -> str | None:
    """Return a name as Docker and ECS give them, None for any other value: it goes into the ledger and on screens."""
    if isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= NAME_MAX:
        return value or None
    return None


def container(docker_id: object, name: object, docker_name: object) -> dict[str, str] | None:
    """Return an element of `containers`, None without a whole Docker ID."""
    if not is_id(docker_id):
        return None
    names = {"name": name_of(name), "docker_name": name_of(docker_name)}
    return {"id": str(docker_id), **{key: value for key, value in names.items() if value}}


def listed(found: Iterable[dict[str, str] | None]) -> list[dict[str, str]]:
    """Return the containers as `containers` has them: by name, at most CONTAINERS_MAX."""
    each = [one for one in found if one is not None]
    return sorted(each, key=lambda one: (one.get("name", ""), one["id"]))[:CONTAINERS_MAX]


def of_task(snapshot: bolt.ReadTransaction, task_arn: str, pause_id: str) -> dict[str, Any]:
    """Return `containers` and `pause_name` of a task in agent.db, as far as they are known.

    Nothing if the task's pause container is another one than `pause_id`: then it is not the task of the association.
    Raises bolt.Unreadable.
    """
    bucket = snapshot.buckets().get(b"containers")
    if bucket is None:
        return {}
    start = task_arn.rpartition("/")[2].encode() + b"-"
    fields: dict[str, Any] = {}
    found = []
    for key, value in snapshot.containing(bucket, start):
        saved = _saved(value) if key.startswith(start) else {}
        about = saved["Container"] if isinstance(saved.get("Container"), dict) else {}
        if about.get("IsInternal") == _PAUSE_TYPE or about.get("Name") == _PAUSE_NAME:
            if is_id(pause_id) and is_id(saved.get("DockerId")) and saved["DockerId"] != pause_id:
                return {}
            fields["pause_name"] = name_of(saved.get("DockerName"))
        else:
            found.append(container(saved.get("DockerId"), about.get("Name"), saved.get("DockerName")))
    fields["containers"] = listed(found)
    return {key: value for key, value in fields.items() if value}


def _saved(value: bytes) -> dict[str, Any]:
    """Return the JSON object of a container, empty for one that cannot be parsed: the others are as good as before."""
    try:
        saved = minijson.loads(value)
    except ValueError:
        return {}
    return saved if isinstance(saved, dict) else {}
