"""The types of events and associations, the ledger's two kinds of records, for type checkers.

The format is specified in the docstring of `eni_ledger.ledger`; `ledger/format/schema.py` has the same keys as models
that validate, and a test holds both together. No key is required here: absent means "not known", and an event on its
way into the ledger does not have all of its keys yet.

Import this module under `TYPE_CHECKING` only: `typing` costs an ADD a millisecond.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

Fields = Mapping[str, Any]
"""An event, an association, or some keys of one, to read from.

For code that takes keys from a variable, or both kinds of records: a TypedDict can be read by literal keys only.
"""

Draft = dict[str, Any]
"""An event that is being put together, before the writer makes an `Event` of it.

Its parts come as dictionaries from several sources, and a value may be None, which the writer leaves out.
"""


class Container(TypedDict, total=False):
    """A container of a task."""

    id: str
    name: str
    docker_name: str


class Identified(TypedDict, total=False):
    """The keys that associations and the events about them have in common."""

    association_id: str
    instance_id: str
    boot_id: str
    event_boot_id: str
    agent_version: str
    container_id: str
    ifname: str
    network: str
    eni_id: str
    branch_mac: str
    vlan_id: int
    addresses: list[str]
    gateways: list[str]
    protocol: str
    trunk_eni_id: str
    trunk_mac: str
    trunk_ifname: str
    trunk_ifindex: int
    trunk_netns_inode: int
    vlan_protocol: str
    netns: str
    netns_inode: int
    netns_dev: int
    pid: int
    pid_start: int
    observed_vlan_id: int
    observed_mac: str
    observed_addresses: list[str]
    observed_gateways: list[str]
    declared_mac: str
    declared_ifname: str
    mismatch: list[str]
    task_arn: str
    cluster: str
    task_family: str
    task_revision: str | int
    service: str
    private_dns_name: str
    pause_name: str
    containers: list[Container]
    via: str
    plugin: str
    cni_version: str
    interface_type: str
    block_instance_metadata: bool
    unconfirmed: bool
    ledger: str
    """With several ledgers, the name of the one that this is from. Not in any file."""


class Association(Identified, total=False):
    """One interface in one namespace, from its add to its end."""

    since: str
    until: str
    ended_by: str
    add_seq: int
    end_seq: int
    as_of: str
    """With several ledgers, the time of the copy's last event. Not in any file."""


class Event(Identified, total=False):
    """One line of the ledger, or an event on its way there."""

    ts: str
    seq: int
    v: int
    event: str
    took_ms: float
    error_code: int
    error_msg: str
    reason: str
    supersedes: list[str]
    sync: bool
    clock_step_us: int
    spool: str
    spooled_ts: str
    identity_source: str
    late: bool
    imported_event: str
    occurred_ts: str
    import_id: str
    log_ends: str
    prev_crc: str
    prev_segment: str
    damage: str
    live: list[Association]
    crc: str
    spooled: bool
    spooled_because: str
    """Returned by the writer for an event that waits in the spool. Not in any file."""
