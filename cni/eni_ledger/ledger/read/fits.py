"""How an association, or an event, fits what is asked for: by which of its fields, exactly or by the start of an ID.

A function for each kind of `Query`, which yields `(field, how)` for each field that fits.
"""

from __future__ import annotations

from eni_ledger.ledger.archive import index_keys
from eni_ledger.ledger.read import container_terms, spelling
from eni_ledger.ledger.read.container_terms import EXACT, SHORTEST_START, START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from ipaddress import IPv6Address
    from typing import Any

    from eni_ledger.base.events import Fields

    Fits = Iterator[tuple[str, int]]


def _ip(association: Fields, wanted: str | IPv6Address) -> Fits:
    for field in index_keys.ADDRESSES:
        if any(_same_ip(str(address), wanted) for address in association.get(field) or ()):
            yield field, EXACT


def _cidr(association: Fields, wanted: tuple[Any, Any]) -> Fits:
    low, high = wanted
    for field in index_keys.ADDRESSES:
        for address in association.get(field) or ():
            number = _number(str(address), ipv4=isinstance(low, int))
            if number is not None and low <= number <= high:
                yield field, EXACT
                break


def _mac(association: Fields, wanted: str) -> Fits:
    for field in index_keys.MACS:
        if index_keys.mac(association.get(field)) == wanted:
            yield field, EXACT


def _trunk_mac(association: Fields, wanted: str) -> Fits:
    if index_keys.mac(association.get("trunk_mac")) == wanted:
        yield "trunk_mac", EXACT


def _among(*fields: str) -> Callable[[Fields, Any], Fits]:
    """Return what compares the value of each of `fields`."""

    def fits(association: Fields, wanted: object) -> Fits:
        for field in fields:
            if association.get(field) == wanted:
                yield field, EXACT

    return fits


def _association(association: Fields, wanted: str) -> Fits:
    if str(association.get("association_id")).startswith(wanted):
        yield "association_id", EXACT


def _path(association: Fields, wanted: str) -> Fits:
    if index_keys.netns_path(str(association.get("netns") or "")) == wanted:
        yield "netns", EXACT


def _task(association: Fields, wanted: str) -> Fits:
    if _same_task(str(association.get("task_arn") or ""), wanted):
        yield "task_arn", EXACT


def _task_id(association: Fields, wanted: str, shortest: int = 1) -> Fits:
    task = index_keys.task_id(str(association.get("task_arn") or ""))
    if task == wanted:
        yield "task_arn", EXACT
    elif len(wanted) >= shortest and task.startswith(wanted):
        yield "task_arn", START


def _container(association: Fields, wanted: str) -> Fits:
    container = str(association.get("container_id") or "")
    if container == wanted:
        yield "container_id", EXACT
    elif container.startswith(wanted) or _begins_bare(container, wanted):
        yield "container_id", START
    for fit in (container_terms.fit, container_terms.fit_named):
        field, how = fit(association, wanted)
        if how:
            yield field, how
            break


def _revision(association: Fields, wanted: tuple[str, str]) -> Fits:
    family, revision = wanted
    if association.get("task_family") == family and str(association.get("task_revision")) == revision:
        yield "task_family", EXACT


def _task_of_family(association: Fields, wanted: tuple[str, str | None, str]) -> Fits:
    family, revision, start = wanted
    if association.get("task_family") == family and revision in (None, str(association.get("task_revision"))):
        yield from _task_id(association, start)


def _task_of(association: Fields, wanted: tuple[str, str | None, str]) -> Fits:
    name, revision, start = wanted
    if revision is not None:
        yield from _task_of_family(association, wanted)
    elif name in map(association.get, ("task_family", "service", "cluster")):
        yield from _task_id(association, start)


def _service(association: Fields, wanted: tuple[str, str | None]) -> Fits:
    service, cluster = wanted
    if association.get("service") == service and cluster in (None, association.get("cluster")):
        yield "service", EXACT


def _number_of_any_kind(association: Fields, wanted: str) -> Fits:
    number = int(wanted)
    for field in index_keys.NUMBERS:
        if association.get(field) == number:
            yield field, EXACT
    # A VLAN ID is not meant as the start of every tenth container ID.
    by_id = _ids(association, wanted)
    yield from by_id if len(wanted) >= SHORTEST_START else (one for one in by_id if one[1] == EXACT)


def _name(association: Fields, wanted: str) -> Fits:
    yield from _ids(association, wanted)
    for field in index_keys.OWNERS:
        if association.get(field) == wanted:
            yield field, EXACT


def _ids(association: Fields, wanted: str) -> Fits:
    """Yield what fits of the task, the container, and the digits that tables print of the association ID."""
    yield from _task_id(association, wanted, SHORTEST_START)
    yield from _container(association, wanted)
    if spelling.is_hex(wanted, 8) and str(association.get("association_id")).startswith(f"assoc-{wanted}"):
        yield "association_id", START


BY_KIND: dict[str, Callable[[Fields, Any], Fits]] = {
    "ip": _ip,
    "cidr": _cidr,
    "mac": _mac,
    "eni": _among(*index_keys.ENIS),
    "association": _association,
    "number": _number_of_any_kind,
    "vlan": _among(*index_keys.VLANS),
    "netns": _among("netns_inode"),
    "pid": _among("pid"),
    "path": _path,
    "container": _container,
    "task": _task,
    "task_id": _task_id,
    "task_of": _task_of,
    "task_of_family": _task_of_family,
    "family": _among("task_family"),
    "revision": _revision,
    "service": _service,
    "cluster": _among("cluster"),
    "trunk": _among("trunk_ifname"),
    "trunk_mac": _trunk_mac,
    "trunk_eni": _among("trunk_eni_id"),
    "instance": _among("instance_id"),
    "name": _name,
}


def _begins_bare(container: str, value: str) -> bool:
    """Tell whether the ID behind a namespace's name is, or begins with, the ID that is asked for; or the other way."""
    if "-" in container:
        return any(
            name == value or (len(value) >= SHORTEST_START and name.startswith(value))
            for name in index_keys.bare_names(container)
        )
    return "-" in value and (bare := index_keys.bare_id(value)) != value and container.startswith(bare)


def _same_task(arn: str, wanted: str) -> bool:
    """Tell whether two ARNs are of one task; the older form of them does not name the cluster."""
    if arn == wanted:
        return True
    (head, _, path), (its_head, _, its_path) = arn.partition(":task/"), wanted.partition(":task/")
    ids = (index_keys.task_id(path), index_keys.task_id(its_path))
    return head == its_head and ids[0] == ids[1] and ("/" not in path or "/" not in its_path)


def _same_ip(address: str, wanted: str | IPv6Address) -> bool:
    text = address.partition("/")[0]
    if isinstance(wanted, str):  # IPv4 has one way to be written, and this is asked of every association there was
        return text == wanted
    return ":" in text and _number(address, ipv4=False) == wanted


def _number(address: str, *, ipv4: bool) -> Any:
    """Return an address of one version as it can be compared, None for another one."""
    text = address.partition("/")[0]
    if ipv4:
        return spelling.number_of(text) if spelling.is_ipv4(text) else None
    if ":" not in text:
        return None
    import ipaddress  # takes its time, and IPv6 is rare

    try:
        return ipaddress.IPv6Address(text)
    except ValueError:
        return None
