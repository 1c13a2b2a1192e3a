"""The filters of `list`, `who` and `log`, and the keys that they are on. Apart: each question parses its options."""

from __future__ import annotations

FIELDS = {
    "family": ("task_family",),
    "service": ("service",),
    "cluster": ("cluster",),
    "task": ("task_arn",),
    "vlan": ("vlan_id", "observed_vlan_id"),
    "trunk": ("trunk_mac", "trunk_eni_id", "trunk_ifname"),
    "event": ("event",),
    "via": ("via",),
}
"""Option and the fields that its patterns are compared with."""
