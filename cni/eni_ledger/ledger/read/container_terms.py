"""Names of a task's containers as they are asked for: IDs and names in Docker, and the hostname of all of them.

On ECS the hostname is the private DNS name of the ENI, `ip-10-0-32-5.eu-central-1.compute.internal`. A name of this
form says the address, so it is found where no name is recorded, too.
"""

from __future__ import annotations

from eni_ledger.ledger.archive import index_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from eni_ledger.base.events import Fields


NOT, START, EXACT = range(3)
"""How well an association fits: not at all, by the start of an ID, exactly."""

SHORTEST_START = 6
_NOTHING = ("", NOT)


def fit(association: Fields, text: str) -> tuple[str, int]:
    """Return the field in which `text` is a name or an ID, or the start of one, of a container of the task."""
    if association.get("pause_name") == text:
        return "pause_name", EXACT
    best = NOT
    for container in _containers(association):
        docker_id = str(container.get("id") or "")
        if text in (docker_id, container.get("docker_name")):
            return "containers", EXACT
        if len(text) >= SHORTEST_START and docker_id.startswith(text):
            best = START
    return ("containers", best) if best else fit_host(association, text)


def fit_named(association: Fields, name: str) -> tuple[str, int]:
    """Return the field in which `name` is that of a container in the task definition."""
    named = any(container.get("name") == name for container in _containers(association))
    return ("containers", EXACT) if named else _NOTHING


def fit_host(association: Fields, text: str) -> tuple[str, int]:
    """Return the field that has the hostname `text`, whole or up to its first dot, or the address that it says."""
    recorded = association.get("private_dns_name")
    if recorded:
        fits = text in (recorded, str(recorded).partition(".")[0])
        return ("private_dns_name", EXACT) if fits else _NOTHING
    address = address_in(text)
    if address is not None:
        for field in index_keys.ADDRESSES:
            if any(str(each).partition("/")[0] == address for each in association.get(field) or ()):
                return field, EXACT
    return _NOTHING


def address_in(hostname: str) -> str | None:
    """Return the IPv4 address in a private DNS name of the form `ip-10-0-32-5`, with a domain or without one."""
    if not hostname.startswith("ip-"):
        return None
    numbers = hostname.partition(".")[0][3:].split("-")
    if len(numbers) != 4:
        return None
    for each in numbers:
        if not (each.isascii() and each.isdigit() and len(each) <= 3 and int(each) <= 255 and str(int(each)) == each):
            return None
    return ".".join(numbers)


def is_hostname(text: str) -> bool:
    """Return whether a name has the form of a hostname, which no name of a family, service or cluster has."""
    return "." in text or address_in(text) is not None


def ranges(text: str) -> list[index_keys.Range]:
    """Return the ranges of the keys of what `fit` and `fit_named` compare with `text`, less those of IDs."""
    address = address_in(text)
    found = [index_keys.exact("container", text), index_keys.exact("host", text.partition(".")[0])]
    return [*found, index_keys.exact("ip", address)] if address else found


def _containers(association: Fields) -> Iterator[dict[str, Any]]:
    containers = association.get("containers")
    for container in containers if isinstance(containers, list) else ():
        if isinstance(container, dict):
            yield container
