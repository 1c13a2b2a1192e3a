"""What can be asked for: an address, a tag, a name; and which associations it fits, by which of their fields."""

from __future__ import annotations

from eni_ledger.base.errors import LedgerDamaged
from eni_ledger.ledger.archive import index, index_keys
from eni_ledger.ledger.read import container_terms, fits, spelling
from eni_ledger.ledger.read.container_terms import NOT, SHORTEST_START, START
from eni_ledger.ledger.read.kinds import classify
from eni_ledger.ledger.read.spelling import bare_mac

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from eni_ledger.base.events import Association, Fields


_PLAIN = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-:/")
_MOST_ADDRESSES = 256
"""Addresses of a CIDR up to which an index is asked for each of them."""
_LONGEST = len('"255.255.255.255/32"')
_MOST_STARTS = 16
"""Texts that a line is searched for one after the other."""

_IN_EVERY_INDEX = ("ip", "cidr", "mac", "eni", "association", "number", "vlan", "netns", "pid", "path", "container",
                   "task", "task_id", "task_of", "task_of_family", "trunk_mac", "trunk_eni")  # fmt: skip


class Query:
    """One thing to look for. `kind` says what it was taken for, as in `fits.BY_KIND`; `value` is its normal form.

    With `in_add` every association that fits does so by its add.

    A number is a VLAN ID, a netns inode, a PID or, from six digits on, the start of a container's or a task's ID. A
    name is the ID of a task or of one of its containers, or the start of one, the name of a container, a family, a
    service, a cluster, the interface of a trunk, an instance ID, or a hostname. From eight hex digits on both may be
    the start of an association ID, as tables print it. Raises UsageError for a text that can be none of them.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.kind, self.value = classify(self.text)
        self.in_add = self.kind == "association"
        self._fits = fits.BY_KIND[self.kind]

    def matches(self, association: Fields) -> bool:
        """Tell whether an association may be one that was asked for; of several, `best` says which."""
        return next(self._fits(association, self.value), None) is not None

    def may_match(self, event: Fields) -> bool:
        """Tell whether the association that an event tells of may be one that was asked for, by what it tells.

        What else has to fit may be told by another event: an `identify` adds what an add did not know.
        """
        if self.kind in ("revision", "service"):
            return bool(event.get("task_family" if self.kind == "revision" else "service") == self.value[0])
        if self.kind in ("task_of", "task_of_family"):
            return next(fits.BY_KIND["task_id"](event, self.value[2]), None) is not None
        return self.matches(event)

    def ranges(self, version: int = index.VERSION) -> list[index_keys.Range] | None:
        """Return the ranges of keys that an index has for every event of an association that may be one asked for.

        None if an index of that version does not have such keys.
        """
        value = self.value
        if version < index.VERSION and self.kind not in _IN_EVERY_INDEX:
            return None
        if self.kind == "number":
            low, high = index_keys.name(value)  # a short one is not meant as the beginning of a name
            number = [index_keys.exact("number", int(value)), (low, high if len(value) >= SHORTEST_START else low)]
            return [*number, *container_terms.ranges(value)]
        if self.kind in ("name", "container"):
            names = [index_keys.name(each) for each in {value, index_keys.bare_id(value)}]
            return [*names, *container_terms.ranges(value)]
        if self.kind in ("association", "task", "task_id"):
            return [index_keys.name(index_keys.task_id(value.removeprefix("assoc-")))]
        if self.kind in ("task_of", "task_of_family"):
            return [index_keys.name(value[2])]
        if self.kind in ("family", "cluster", "trunk", "instance"):
            return [index_keys.whole_name(value)]
        if self.kind in ("revision", "service"):
            return [index_keys.whole_name(value[0])]
        if self.kind == "cidr":
            return self._ranges_of_cidr()
        return [index_keys.exact(_KEYS.get(self.kind, self.kind), value)]

    def _ranges_of_cidr(self) -> list[index_keys.Range] | None:
        low, high = self.value
        if not isinstance(low, int) or high - low >= _MOST_ADDRESSES:
            return None
        return [index_keys.exact("ip", spelling.dotted(number)) for number in range(low, high + 1)]

    def literals(self) -> tuple[bytes, ...] | None:
        """Return what a line of a writer's that tells of an association that fits has in it: at least one of these.

        None if there is nothing of the kind.
        """
        value = self.value
        if self.kind in ("mac", "trunk_mac", "path") or (self.kind == "ip" and not isinstance(value, str)):
            return None  # they can be written in several ways
        if self.kind == "cidr":
            return _start_of_addresses(*value) if isinstance(value[0], int) else None
        if self.kind == "number" and value.startswith("0"):
            return None  # as a VLAN ID it has no zeros before it
        texts = [str(value)]
        if self.kind in ("name", "container"):
            texts = [index_keys.bare_id(value)]
            if address := container_terms.address_in(value):
                texts.append(address)
        elif self.kind == "task":
            texts = [index_keys.task_id(value)]
        elif self.kind in ("task_of", "task_of_family"):
            texts = [value[2]]
        elif self.kind in ("family", "cluster", "trunk", "instance", "revision", "service"):
            texts = [f'"{value if isinstance(value, str) else value[0]}"']
        return tuple(text.encode() for text in texts) if all(map(_is_plain, texts)) else None

    def line_test(self) -> Callable[[bytes, int], bool] | None:
        """Return what tells of a literal in some lines, `(data, place)`, whether it may be of something that fits.

        None if it always may. The literals of a CIDR are whole octets, which all addresses of a host may share.
        """
        return self._accepts if self.kind == "cidr" and isinstance(self.value[0], int) else None

    def _accepts(self, data: bytes, at: int) -> bool:
        octets = data[at + 1 : at + _LONGEST].partition(b'"')[0].partition(b"/")[0].split(b".")
        low, high = self.value
        try:
            a, b, c, d = map(int, octets)
        except ValueError:
            return True
        return bool(low <= a << 24 | b << 16 | c << 8 | d <= high)

    def best(self, found: Iterable[Association]) -> list[Association]:
        """Return those that fit best by one of the fields: a whole ID is not meant as the start of others."""
        fitting = [(self.fits(one), one) for one in found]
        most: dict[str, int] = {}
        for fields, _ in fitting:
            for field, how in fields.items():
                most[field] = max(how, most.get(field, NOT))
        return [one for fields, one in fitting if any(how == most[field] for field, how in fields.items())]

    def fitted(self, found: Iterable[Fields]) -> dict[str, str]:
        """Return by association ID the field that fitted, when they do not all have the same thing; else nothing.

        Several fields are separated by commas.
        """
        told, things = {}, set()
        for one in found:
            fields = self.fits(one)
            told[str(one["association_id"])] = ", ".join(fields)
            things.add(tuple((field, str(one.get(field)) if how == START else "") for field, how in fields.items()))
        return told if len(things) > 1 else {}

    def fits(self, association: Fields) -> dict[str, int]:
        """Return the fields by which an association fits, each with how well."""
        return dict(self._fits(association, self.value))


_KEYS = {"vlan": "number", "netns": "number", "pid": "number", "trunk_mac": "mac", "trunk_eni": "eni"}


def readings(text: str) -> list[Query]:
    """Return what a text may mean: the next one counts when the one before it finds nothing. Raises as `Query` does."""
    mac = bare_mac(text)
    return [Query(text), *([Query(mac)] if mac else [])]


def best_reading(text: str, find: Callable[[Query], list[Association]]) -> list[Association]:
    """Return what `find` finds for the first reading of `text` that finds anything, and of it what it fits best.

    Raises as `Query` and `find` do; LedgerDamaged has the best of its associations.
    """
    for query in readings(text):
        try:
            found = query.best(find(query))
        except LedgerDamaged as exc:
            exc.associations = query.best(exc.associations)
            raise
        if found:
            return found
    return []


def _is_plain(text: str) -> bool:
    """Tell whether JSON has a text as it is, also one between quotation marks."""
    return bool(text) and _PLAIN.issuperset(text[1:-1] if text[0] == text[-1] == '"' else text)


def _start_of_addresses(low: int, high: int) -> tuple[bytes, ...] | None:
    """Return the whole octets that addresses from `low` to `high` begin with, as a line has them; None for too many."""
    for octets in (3, 2, 1):
        bits = 8 * (4 - octets)
        if (high >> bits) - (low >> bits) < _MOST_STARTS:
            numbers = range(low >> bits, (high >> bits) + 1)
            starts = (spelling.dotted(number << bits).split(".")[:octets] for number in numbers)
            return tuple(f'"{".".join(start)}.'.encode() for start in starts)
    return None
