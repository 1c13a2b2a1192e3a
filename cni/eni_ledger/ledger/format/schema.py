"""The ledger's records as pydantic models; `json_schema` makes JSON Schemas from them.

The format itself is specified in the docstring of `eni_ledger.ledger`; here it is for programs. The models
are strict (a number in quotes is no number) about what eni-ledger makes itself, and keep keys they do not
know, as every reader of the ledger has to. Names and texts that a runtime or another plugin gave (container
IDs, paths, addresses, messages) are whatever they were: those are evidence, and no pattern is laid over them.
Absent and null mean the same; `model_dump(mode="json", exclude_none=True)` gives back what was read.

Not for the ADD path: importing this costs more than an ADD.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from eni_ledger.timespec import to_ledger

_OCTET = "[0-9a-f]{2}"
_DATE = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)\.[0-9]{6}Z"


def _moment(value: object) -> datetime:
    """Return the aware `datetime` of a `ts`. Raises ValueError for what no eni-ledger writes."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if isinstance(value, str) and re.fullmatch(f"{_DATE}T{_TIME}", value):
        return datetime.fromisoformat(value)
    raise ValueError("not a time of the ledger: RFC 3339, UTC, microseconds")


Timestamp = Annotated[
    datetime,
    PlainValidator(_moment),
    PlainSerializer(to_ledger, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{_DATE}T{_TIME}$", "examples": ["2026-11-23T14:00:00.123456Z"]}),
]
Mac = Annotated[str, Field(pattern=f"^{_OCTET}(:{_OCTET}){{5}}$", examples=["0a:1b:2c:3d:00:01"])]
AssociationId = Annotated[str, Field(pattern="^assoc-[0-9a-f]{17}$", examples=["assoc-0123456789abcdef0"])]
Crc = Annotated[str, Field(pattern="^[0-9a-f]{8}$", examples=["0a1b2c3d"])]
VlanId = Annotated[int, Field(ge=0, le=4094, examples=[101])]
Seq = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Number = Annotated[int, Field(ge=1)]

EventKind = Literal["add", "add_failed", "del", "identify", "adopt", "lost", "boot", "checkpoint", "import"]
Via = Literal["chained", "interposed", "scan", "import"]
EndedBy = Literal["del", "lost", "superseded", "rebooted"]

NEEDS: dict[str, tuple[str, ...]] = {
    "add": ("association_id", "container_id", "ifname"),
    "adopt": ("association_id",),
    "del": ("association_id", "container_id", "ifname"),
    "lost": ("association_id",),
    "identify": ("association_id",),
    "boot": ("boot_id",),
    "checkpoint": ("live", "prev_crc"),
}
"""Keys without which an event of that kind would say nothing."""


def _opt(description: str, *examples: Any) -> Any:
    """Return the field of a key that may be absent."""
    return Field(None, description=description, examples=list(examples) or None)


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class _Head(_Record):
    ts: Timestamp = Field(
        description="When the event was written: RFC 3339, UTC, microseconds, always 27 characters, so text"
        " order is time order. Never earlier than the event before it."
    )
    seq: Seq = Field(description="Number of the event: 1, 2, 3 ... without gaps over all segments.")
    v: Literal[1] = Field(description="Format version.")
    event: EventKind = Field(
        description="What happened. add: an interface joined a namespace. add_failed: the plugin failed. del:"
        " the runtime ended it. identify: ENI or task became known. adopt: found in place, joined unrecorded."
        " lost: gone without a del. boot: the host was rebooted, all before has ended. checkpoint: first"
        " event of a segment, carries what is live. import: taken from another log, by version 0.1.0."
    )


class Container(_Record):
    """A container of a task."""

    id: str = Field(description="Docker ID, 64 hex digits.")
    name: str | None = _opt("Name in the task definition.", "app")
    docker_name: str | None = _opt("Docker name.", "ecs-api-17-app-c0ffee0123456789abcd")


class _Identity(_Record):
    """What an association and the events about it have in common."""

    association_id: AssociationId | None = _opt(
        "The association, from its add to its end. Made by eni-ledger, not by EC2."
    )
    instance_id: str | None = _opt("EC2 instance ID of the host.", "i-0123456789abcdef0")
    boot_id: str | None = _opt("The kernel's boot ID of the host, a UUID.")
    event_boot_id: str | None = _opt("Boot ID under which a spooled event happened, when the host was rebooted since.")
    agent_version: str | None = _opt("Version of the ECS agent.", "1.105.0")
    container_id: str | None = _opt("CNI_CONTAINERID; on ECS the Docker ID of the pause container, 64 hex digits.")
    ifname: str | None = _opt("Name of the interface in the namespace, CNI_IFNAME.", "eth0")
    network: str | None = _opt("Name of the CNI network.")
    eni_id: str | None = _opt("ID of the branch ENI.", "eni-0123456789abcdef0")
    branch_mac: Mac | None = _opt(
        "MAC address of the ENI, a branch or a whole one, lower case. Of another interface there are observed_mac and"
        " declared_mac."
    )
    vlan_id: VlanId | None = _opt("VLAN ID of the branch on its trunk: 1 to 4094 on a real trunk; the kernel allows 0.")
    addresses: list[str] | None = _opt(
        "Addresses of the attachment, with prefix length: all that were declared, else those that the kernel shows. An"
        " empty list: there are none. Absent: not known.",
        ["10.0.32.4/20"],
    )
    gateways: list[str] | None = _opt(
        "Its gateways, those that were declared, else those of the kernel's default routes. An empty list: there are"
        " none. Absent: not known.",
        ["10.0.32.1"],
    )
    protocol: Literal["vlan", "default"] | None = _opt(
        "vlan: a branch of a trunk. default: a whole ENI that was moved into the namespace."
    )
    trunk_eni_id: str | None = _opt("ID of the trunk ENI.", "eni-0fedcba9876543210")
    trunk_mac: Mac | None = _opt("MAC address of the trunk, lower case.")
    trunk_ifname: str | None = _opt("Name of the trunk's interface on the host.", "enp40s0")
    trunk_ifindex: Number | None = _opt("Index of the trunk's interface in the namespace that it is in.")
    trunk_netns_inode: Number | None = _opt(
        "Inode of the namespace that the trunk's interface is in; absent where that is not known.", 4026531840
    )
    vlan_protocol: str | None = _opt("Protocol of the VLAN link's tags: 802.1Q or 802.1ad.", "802.1Q")
    netns: str | None = _opt("Path of the namespace as the runtime gave it, CNI_NETNS.")
    netns_inode: Number | None = _opt("Inode of the namespace: its identity while it exists.", 4026532281)
    netns_dev: Count | None = _opt("Device number that the inode belongs to.")
    pid: Number | None = _opt("Process that the namespace was named by, on ECS the pause process.")
    pid_start: Count | None = _opt(
        "Start time of that process in clock ticks after boot, field 22 of /proc/PID/stat: tells it from a"
        " later process of the same number."
    )
    observed_vlan_id: VlanId | None = _opt("VLAN ID as the kernel shows it.")
    observed_mac: Mac | None = _opt("MAC address of the interface as the kernel shows it.")
    observed_addresses: list[str] | None = _opt(
        "With addresses in mismatch: those that the kernel shows, with prefix length. An empty list: it shows none."
        " Absent: not known."
    )
    observed_gateways: list[str] | None = _opt(
        "With gateways in mismatch: those of the kernel's default routes. An empty list: it has none. Absent: not"
        " known."
    )
    declared_mac: Mac | None = _opt("MAC address that the result declares for an interface that is no ENI.")
    declared_ifname: str | None = _opt("Name of the interface in the result, where it is not CNI_IFNAME.", "net1")
    mismatch: list[str] | None = _opt(
        "Names of the fields in which what was declared and what the kernel shows differ."
    )
    task_arn: str | None = _opt(
        "ARN of the ECS task.",
        "arn:aws:ecs:eu-central-1:123456789012:task/prod/0123456789abcdef0123456789abcdef",
    )
    cluster: str | None = _opt("ECS cluster.")
    task_family: str | None = _opt("Family of the task definition.")
    task_revision: str | int | None = _opt("Revision of the task definition.")
    service: str | None = _opt("ECS service of the task.")
    private_dns_name: str | None = _opt(
        "Private DNS name of the ENI; on ECS the hostname of the task's containers.",
        "ip-10-0-32-4.eu-central-1.compute.internal",
    )
    pause_name: str | None = _opt(
        "Docker name of the pause container; container_id has its ID.",
        "ecs-api-17-internalecspause-0123456789abcdef",
    )
    containers: list[Container] | None = _opt(
        "Containers of the task that share the namespace of the pause container, without it: those that are known, at"
        " most 64. In an identify event those that became known."
    )
    via: Via | None = _opt(
        "How eni-ledger came to know. chained: in a CNI chain. interposed: in front of the plugin. scan:"
        " found in the kernel. import: from another log."
    )
    plugin: str | None = _opt("CNI plugin that made the interface.", "vpc-branch-eni")
    cni_version: str | None = _opt("cniVersion of the configuration.", "1.0.0")
    interface_type: str | None = _opt("interfaceType of vpc-branch-eni: vlan, tap or macvtap.", "vlan")
    block_instance_metadata: bool | None = _opt(
        "Whether the plugin was configured to block the instance metadata service."
    )
    unconfirmed: bool | None = _opt(
        "Imported: the log has neither a result of this ADD nor an error that is certainly its own."
    )

    @property
    def task_id(self) -> str | None:
        """ID of the ECS task, the end of its ARN; None where the task is not known."""
        return self.task_arn.rpartition("/")[2] if self.task_arn else None


class Association(_Identity):
    """One interface in one namespace, from its add to its end."""

    association_id: AssociationId = Field(description="Stable from add to end. Made by eni-ledger, not by EC2.")
    since: Timestamp = Field(description="When it joined, or for an adopt when it was found.")
    until: Timestamp | None = _opt("When it ended; absent while it is live.")
    ended_by: EndedBy | None = _opt(
        "What ended it; absent while it is live. superseded: an add that has it in supersedes, since both cannot be"
        " true: of the same VLAN of the trunk, the same interface of the namespace, or the same attachment. rebooted: a"
        " boot of the host. lost, of one that was imported: the log does not say; until is how far the log goes."
    )
    add_seq: Seq = Field(description="seq of the add or adopt event.")
    end_seq: Seq | None = _opt("seq of the event that ended it; absent while it is live.")

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.ended_by is None and self.until is None

    @property
    def duration(self) -> timedelta | None:
        """How long it lasted; None while it is live."""
        return None if self.until is None else self.until - self.since


class Event(_Identity, _Head):
    """One line of the ledger."""

    took_ms: Annotated[float, Field(ge=0)] | None = _opt(
        "Time from the start of the call until the event was ready to be written, milliseconds."
    )
    error_code: int | None = _opt(
        "add_failed: error code of the plugin that failed. add: why the kernel's view of it is missing."
    )
    error_msg: str | None = _opt("The message of that error.")
    reason: str | None = _opt(
        "Why an association was lost. gc: not in the runtime's list. rebooted: joined in an earlier boot. verify: its"
        " namespace was not there any more. log_ends: imported, and the log goes no further."
    )
    supersedes: list[AssociationId] | None = _opt("Associations that this add or adopt ended.")
    sync: bool | None = _opt(
        "Boot: false where `sync` is off. If the power went before it, the last events before it may be missing."
    )
    clock_step_us: Number | None = _opt(
        "How far the clock had stepped back, microseconds; ts was held at the event's before."
    )
    spool: str | None = _opt("Spool file that the event waited in, as it could not have the lock.")
    spooled_ts: Timestamp | None = _opt("When an event that waited in the spool happened; ts is when it was folded in.")
    identity_source: Literal["agent-db", "docker", "imds", "ec2"] | None = _opt("Identify: who said so.")
    late: bool | None = _opt("Identify: the association had ended before.")
    imported_event: Literal["add", "add_failed", "del"] | None = _opt("Import: what happened.")
    occurred_ts: Timestamp | None = _opt("Import: when it happened, as the log has it; ts is when it was imported.")
    import_id: str | None = _opt(
        "Imported: made from the text of the log's line; the same line is not imported twice.",
        "0123456789abcdef0123456789abcdef",
    )
    log_ends: Timestamp | None = _opt("Checkpoint of imported history: time of the newest line of the logs.")
    prev_crc: Crc | None = _opt("Checkpoint: CRC of the last line of the segment before, the chain's link.")
    prev_segment: str | None = _opt("Checkpoint: file name of the segment before.")
    damage: str | None = _opt("Checkpoint: the segment before was sealed damaged; where it is.")
    live: list[Association] | None = _opt("Checkpoint: the associations live at this moment.")
    crc: Crc = Field(
        description="CRC-32 of the line up to it, seeded with that of the line before: a chain over all segments."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        needs = () if self.via == "import" else NEEDS.get(self.event, ())  # a log has neither ID for some
        missing = [key for key in needs if getattr(self, key) is None]
        if missing:
            raise ValueError(f"event {self.event} without {', '.join(missing)}")
        return self


class State(_Record):
    """`state.json`: what is live after the event `seq`. Derived from the ledger, can always be rebuilt."""

    v: Literal[1] = Field(description="Format version.")
    seq: Seq = Field(description="seq of the last event in it.")
    ts: Timestamp = Field(description="ts of that event.")
    boot_id: str | None = _opt("Boot ID that the live associations belong to.")
    crc: Crc = Field(description="crc of that event.")
    size: Annotated[int, Field(ge=0)] | None = _opt("Bytes of the active segment up to and with that event.")
    marks: list[Literal["boot", "import", "identify", "late", "spooled", "step", "damage"]] | None = _opt(
        "Kinds of events up to seq that affect answers about other events, so that a reader need not search for them."
    )
    sum: Crc = Field(
        description="CRC-32 of all before it and of the lines inside the array: tells whether the file is whole."
    )
    associations: list[Association] = Field(description="The live associations, one per line of the file.")
