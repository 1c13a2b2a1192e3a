"""The keys of an association in JSON. Apart: a plain `list --json` loads little else."""

from __future__ import annotations

KEYS = (
    "association_id", "instance_id", "boot_id", "event_boot_id", "agent_version", "container_id", "ifname", "network",
    "eni_id", "branch_mac", "vlan_id", "addresses", "gateways", "protocol", "trunk_eni_id", "trunk_mac", "trunk_ifname",
    "trunk_ifindex", "trunk_netns_inode", "vlan_protocol", "netns", "netns_inode", "netns_dev", "pid", "pid_start",
    "observed_vlan_id", "observed_mac", "observed_addresses", "observed_gateways", "declared_mac", "declared_ifname",
    "mismatch", "task_arn", "cluster", "task_family", "task_revision", "service", "private_dns_name", "pause_name",
    "containers", "via", "plugin", "cni_version", "interface_type", "block_instance_metadata", "unconfirmed", "since",
    "until", "ended_by", "add_seq", "end_seq",
)  # fmt: skip
"""Keys that every association in JSON has, as `ledger.format.schema.Association`, which the front door lacks."""
