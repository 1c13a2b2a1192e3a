"""What can be asked for: an address, a tag, a name; and which associations it fits, by which of their fields."""

from __future__ import annotations

from eni_ledger.ledger.archive import index_keys
from eni_ledger.ledger.read import container_terms
from eni_ledger.ledger.read.container_terms import EXACT, NOT, SHORTEST_START, START
from eni_ledger.ledger.read.spelling import bare_mac, classify, is_hex, is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv6Address
    from typing import Any

    Association = dict[str, Any]

_PLAIN = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-:/")
_NOTHING = ("", NOT)
_FIELDS = {"mac": index_keys.MACS, "eni": index_keys.ENIS, "vlan": index_keys.VLANS}


class Query:
    """One thing to look for. `kind` says what it was taken for: ip mac eni association number vlan netns path task
    name.

    A number is a VLAN ID, a netns inode, a PID or, from six digits on, the start of a container's or a task's ID; a
    name is the ID of a task or of one of its containers, or the start of one, a Docker name or a hostname. From eight
    hex digits on both may be the start of an association ID, as tables print it. Raises UsageError for a text that can
    be none of them, or is of a kind that is not looked up.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.kind, self._value = classify(self.text)

    @property
    def may_be_another_name(self) -> bool:
        """Whether it may as well be the name of something that is not looked up, a family or a service."""
        return self.kind == "name" and not is_id(self.text) and not container_terms.is_hostname(self.text)

    def matches(self, association: Association) -> bool:
        """Tell whether an association may be one that was asked for; of several, `best` says which."""
        return self.fit(association)[1] > NOT

    def ranges(self) -> list[index_keys.Range]:
        """Return the ranges of keys that an index has for every event of an association that may be one asked for."""
        value = self._value
        if self.kind == "number":
            low, high = index_keys.name(value)  # a short one is not meant as the beginning of a name
            number = [index_keys.exact("number", int(value)), (low, high if len(value) >= SHORTEST_START else low)]
            return [*number, *container_terms.ranges(value)]
        if self.kind == "name":
            names = [index_keys.name(each) for each in {value, index_keys.bare_id(value)}]
            return [*names, *container_terms.ranges(value)]
        if self.kind == "association":
            return [index_keys.association(value)]
        if self.kind in ("vlan", "netns"):
            return [index_keys.exact("number", value)]
        if self.kind == "task":
            return [index_keys.name(index_keys.task_id(value))]
        return [index_keys.exact(self.kind, value)]

    def literal(self) -> bytes | None:
        """Return what is in every line of a writer's that tells of an association that fits; None when nothing is."""
        value = str(self._value)
        if self.kind in ("mac", "path") or (self.kind == "ip" and ":" in value):
            return None  # they can be written in several ways
        if self.kind == "number" and value.startswith("0"):
            return None  # as a VLAN ID it has no zeros before it
        if self.kind == "name":
            if container_terms.address_in(value):
                return None  # it is found by the name and by the address
            value = index_keys.bare_id(value)
        elif self.kind == "task":
            value = index_keys.task_id(value)
        return value.encode() if value and _PLAIN.issuperset(value) else None

    def best(self, found: Iterable[Association]) -> list[Association]:
        """Return those that fit best by each field: a whole ID is not meant as the start of others."""
        fits = [(*self.fit(one), one) for one in found]
        most: dict[str, int] = {}
        for field, how, _ in fits:
            most[field] = max(how, most.get(field, NOT))
        return [one for field, how, one in fits if how == most[field] > NOT]

    def fitted(self, found: Iterable[Association]) -> dict[str, str]:
        """Return by association ID the field that fitted, when they do not all have the same thing; else nothing."""
        told, things = {}, set()
        for one in found:
            field, how = self.fit(one)
            told[str(one["association_id"])] = field
            things.add((field, str(one.get(field)) if how == START else ""))
        return told if len(things) > 1 else {}

    def fit(self, association: Association) -> tuple[str, int]:
        """Return the field by which an association fits best, and how well; an empty one and NOT when it does not."""
        value = self._value
        if self.kind in ("number", "name"):
            return self._fit_of_name(association)
        if self.kind == "ip":
            for field in index_keys.ADDRESSES:
                for address in association.get(field) or ():
                    if _same_ip(address, value):
                        return field, EXACT
            return _NOTHING
        if self.kind not in _FIELDS:
            field, fits = self._fit_as_a_whole(association)
            return (field, EXACT) if fits else _NOTHING
        for field in _FIELDS[self.kind]:
            found = association.get(field)
            if (index_keys.mac(found) if self.kind == "mac" else found) == value:
                return field, EXACT
        return _NOTHING

    def _fit_as_a_whole(self, association: Association) -> tuple[str, bool]:
        """Return the one field that what is asked for can stand in, and whether it fits."""
        value = self._value
        if self.kind == "association":
            return "association_id", str(association["association_id"]).startswith(value)
        if self.kind == "path":
            return "netns", index_keys.netns_path(str(association.get("netns") or "")) == value
        if self.kind == "netns":
            return "netns_inode", association.get("netns_inode") == value
        return "task_arn", _same_task(str(association.get("task_arn") or ""), value)

    def _fit_of_name(self, association: Association) -> tuple[str, int]:
        value = self._value
        container = str(association.get("container_id", ""))
        task = index_keys.task_id(str(association.get("task_arn") or ""))
        if self.kind == "number":
            number = int(value)
            for field in index_keys.NUMBERS:
                if association.get(field) == number:
                    return field, EXACT
        if value == task:
            return "task_arn", EXACT
        if value == container:
            return "container_id", EXACT
        beside = container_terms.fit(association, value)
        if beside[1] == EXACT:
            return beside
        if self.kind == "number" and len(value) < SHORTEST_START:
            return _NOTHING  # a VLAN ID is not meant as the start of every tenth container ID
        if len(value) >= SHORTEST_START and task.startswith(value):
            return "task_arn", START
        if container.startswith(value) or _begins_bare(container, value):
            return "container_id", START
        bare = is_hex(value, 8) and str(association["association_id"]).startswith(f"assoc-{value}")
        return ("association_id", START) if bare else beside


def readings(text: str) -> list[Query]:
    """Return what a text may mean: the next one counts when the one before it finds nothing. Raises as `Query` does."""
    mac = bare_mac(text)
    return [Query(text), *([Query(mac)] if mac else [])]


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
    if ":" not in text:
        return False
    import ipaddress

    try:
        return ipaddress.ip_interface(address).ip == wanted
    except ValueError:
        return False
