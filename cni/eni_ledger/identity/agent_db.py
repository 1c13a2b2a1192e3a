"""The ENI and the task of a MAC address, from the ECS agent's own state: `agent.db`.

Source: amazon-ecs-agent, `agent/data` (buckets and keys), `agent/api/task/json.go` (`Arn`, `Family`, `Version`,
`ServiceName`, `KnownStatus`, and `ENI`: a list, in old state files a single object) and
`ecs-agent/netlib/model/networkinterface` (`ec2Id`, `MacAddress`, `IPV4Addresses`, `IPV6Addresses`, `PrivateDNSName`,
`InterfaceAssociationProtocol`, `InterfaceVlanProperties`). The agent saves a task before it starts its pause container,
so at ADD the ENI is there. The file is a bbolt database that the agent keeps locked; `bolt` reads it without the lock.

Which task, when several have the MAC? Tasks stay in the file for hours after they stopped (three by default), and EC2
gives MAC addresses out again. A wrong answer would be worse than none, so:

1. A task whose ENI contradicts the plugin's call (another VLAN ID, or none of the addresses) does not match.
2. A task whose `KnownStatus` is STOPPED does not match: its containers are gone, nothing is being attached for it.
   `DesiredStatus` says nothing here, a task may be told to stop while it starts. For an association that ends or has
   ended (`stopped=True`) those count as well, and no less than the others: the MAC may have been given out again since.
3. If those that remain name one ENI, that is the ENI, and if they are one task, that is the task. Else: not known.

If the file is damaged, cut short, missing or too slow to read, a `Question` raises, so that the caller can ask again;
the other functions return "not known".

Standard library only: this module is loaded on ADD.
"""

from __future__ import annotations

from eni_ledger.base import minijson
from eni_ledger.base.addresses import eni_id, ip, mac_text, vlan_number
from eni_ledger.identity import bolt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypedDict, TypeVar

    T = TypeVar("T")

    class Identity(TypedDict, total=False):
        """What the agent knows about an ENI; keys are the ledger's, and one that is not known is absent.

        `addresses` are without prefix length, the primary one first: the agent stores them so.
        """

        eni_id: str
        branch_mac: str
        addresses: list[str]
        vlan_id: int
        trunk_mac: str
        protocol: str
        task_arn: str
        cluster: str
        task_family: str
        task_revision: str
        service: str
        private_dns_name: str

    class Metadata(TypedDict, total=False):
        """What the agent knows about itself and its instance."""

        cluster: str
        instance_id: str
        container_instance_arn: str
        availability_zone: str
        agent_version: str


#: Where the agent keeps it: on the host, and as its own container sees it.
HOST_PATH = "/var/lib/ecs/data/agent.db"
CONTAINER_PATH = "/data/agent.db"

_METADATA = {
    b"cluster-name": "cluster",
    b"ec2-instance-id": "instance_id",
    b"container-instance-arn": "container_instance_arn",
    b"availability-zone": "availability_zone",
    b"agent-version": "agent_version",
}
_STOPPED = "STOPPED"
_TEXT_MAX = 512


class Question:
    """Which ENI and task have a MAC. Asking again is cheap while the file has not changed.

    `vlan_id` and `addresses` (with or without prefix length) are those of the plugin's call; a task that contradicts
    them does not match. With `stopped`, stopped tasks count too.
    """

    def __init__(
        self,
        path: str,
        mac: str,
        *,
        vlan_id: int | None = None,
        addresses: Iterable[str] = (),
        stopped: bool = False,
    ) -> None:
        self._path = path
        self._mac = mac_text(mac)
        self._vlan_id = vlan_id
        self._declared = {address for address in (ip(text.partition("/")[0]) for text in addresses) if address}
        self._stopped = stopped
        self._not_in = 0  # the transaction in which it was not known

    def ask(self, over: bolt.Over, tries: int = 0) -> Identity | None:
        """Return the identity, None if it is not known for certain.

        Gives up when `over` says so, or when the agent wrote to the file during each of so many `tries` (0: of any
        number). Raises bolt.Unreadable, OSError, and ValueError for a task with that MAC that cannot be parsed.
        """
        if self._mac is None:
            return None
        identity, self._not_in = bolt.view(self._path, over, self._in, tries)
        return identity

    def _in(self, snapshot: bolt.ReadTransaction) -> tuple[Identity | None, int]:
        return (None if snapshot.txid == self._not_in else self.find(snapshot)), snapshot.txid

    def find(self, snapshot: bolt.ReadTransaction) -> Identity | None:
        """Return the identity in `snapshot`, None if it is not known for certain. Raises as `ask` does."""
        fitting = [
            (identity, status)
            for identity, status in _enis(snapshot, f'"{self._mac}"'.encode())
            if identity.get("branch_mac") == self._mac
            and not (self._vlan_id and identity.get("vlan_id", self._vlan_id) != self._vlan_id)
            and not (self._declared and identity.get("addresses") and self._declared.isdisjoint(identity["addresses"]))
        ]
        return _one([identity for identity, status in fitting if self._stopped or status != _STOPPED])


def metadata(path: str, deadline_s: float = 0.05) -> Metadata:
    """Return what the agent knows about the instance, empty when nothing can be read. Never raises."""
    return _ask(path, deadline_s, _metadata) or {}


def tasks(path: str, deadline_s: float = 1.0) -> list[Identity] | None:
    """Return all ENIs of all tasks in the file, stopped ones too, None when it cannot be read. Never raises."""
    return _ask(path, deadline_s, lambda snapshot: [identity for identity, _ in _enis(snapshot, b"")])


def problem(path: str, deadline_s: float = 1.0) -> str | None:
    """Return in one sentence why the file cannot be read, None when all of it can. Never raises."""

    def everything(snapshot: bolt.ReadTransaction) -> None:
        for name, bucket in snapshot.buckets().items():
            for _, value in snapshot.items(bucket):
                if name == b"tasks":
                    list(_of_task(value))

    try:
        bolt.view(path, bolt.within(deadline_s), everything)
    except OSError as error:
        return error.strerror or "cannot be read"
    except (bolt.Unreadable, ValueError) as error:
        return str(error)
    return None


def _ask(path: str, deadline_s: float, use: Callable[[bolt.ReadTransaction], T]) -> T | None:
    try:
        return bolt.view(path, bolt.within(deadline_s), use)
    except (OSError, ValueError, bolt.Unreadable):
        return None


def _enis(snapshot: bolt.ReadTransaction, needle: bytes) -> Iterator[tuple[Identity, str | None]]:
    """Yield each ENI with its task's KnownStatus, of the tasks whose JSON contains `needle`.

    Parsing is expensive, so only tasks that contain the MAC are parsed. Raises ValueError if one of them is not JSON:
    it may be the task in question.
    """
    bucket = snapshot.buckets().get(b"tasks")
    if bucket is not None:
        for _, value in snapshot.containing(bucket, needle) if needle else snapshot.items(bucket):
            yield from _of_task(value)


def _of_task(value: bytes) -> Iterator[tuple[Identity, str | None]]:
    task = minijson.loads(value)
    if not isinstance(task, dict):
        raise ValueError("a task is no JSON object")
    enis = task.get("ENI")
    for eni in enis if isinstance(enis, list) else [enis]:
        if isinstance(eni, dict):
            yield _identity(task, eni), _text(task.get("KnownStatus"))


def _identity(task: dict[str, Any], eni: dict[str, Any]) -> Identity:
    vlan = eni.get("InterfaceVlanProperties")
    vlan = vlan if isinstance(vlan, dict) else {}
    arn = _text(task.get("Arn"))
    # arn:aws:ecs:<region>:<account>:task/<cluster>/<id>; before 2018 without the cluster
    resource = arn.split(":", 5)[5].split("/") if arn and arn.startswith("arn:") and arn.count(":") >= 5 else []
    protocol = eni.get("InterfaceAssociationProtocol")
    known = {
        "eni_id": eni_id(eni.get("ec2Id")),
        "branch_mac": mac_text(eni.get("MacAddress")),
        "addresses": _addresses(eni),
        "vlan_id": vlan_number(vlan.get("VlanID")),
        "trunk_mac": mac_text(vlan.get("TrunkInterfaceMacAddress")),
        "protocol": protocol if protocol in ("vlan", "default") else None,
        "task_arn": arn if resource[:1] == ["task"] else None,
        "cluster": resource[1] if len(resource) == 3 and resource[0] == "task" else None,
        "task_family": _text(task.get("Family")),
        "task_revision": _text(task.get("Version")),
        "service": _text(task.get("ServiceName")),
        "private_dns_name": _text(eni.get("PrivateDNSName")),
    }
    identity: Identity = {key: value for key, value in known.items() if value}  # type: ignore[assignment]
    return identity


def _one(identities: list[Identity]) -> Identity | None:
    """Return the values that all identities share, None unless they share the ENI."""
    if not identities or len({identity.get("eni_id") for identity in identities}) > 1:
        return None
    if len(identities) > 1 and "eni_id" not in identities[0]:
        return None
    first, *others = identities
    same: Identity = {  # type: ignore[assignment]
        key: value for key, value in first.items() if all(other.get(key) == value for other in others)
    }
    return same


def _metadata(snapshot: bolt.ReadTransaction) -> Metadata:
    bucket = snapshot.buckets().get(b"metadata")
    metadata: Metadata = {}
    for key, value in snapshot.items(bucket) if bucket else ():
        name = _METADATA.get(key)
        text = _text(minijson.loads(value)) if name else None
        if name and text:
            metadata[name] = text  # type: ignore[literal-required]
    return metadata


def _addresses(eni: dict[str, Any]) -> list[str]:
    """Return the ENI's addresses in canonical form, IPv4 first, the primary one before the others of its family."""
    addresses: list[str] = []
    for family in ("IPV4Addresses", "IPV6Addresses"):
        entries = eni.get(family)
        entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        for entry in sorted(entries, key=lambda entry: entry.get("Primary") is not True):
            address = ip(entry.get("Address"))
            if address and address not in addresses:
                addresses.append(address)
    return addresses


def _text(value: object) -> str | None:
    """Return a non-empty printable ASCII string, else None: the value goes into the ledger and onto terminals."""
    if isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= _TEXT_MAX:
        return value or None
    return None
