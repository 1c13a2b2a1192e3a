"""Associations as the ledger has them on an ECS host, for what draws pictures and reports of them."""

from __future__ import annotations

import hashlib
from typing import Any

INSTANCE = "i-0123456789abcdef0"
BOOT = "00000000-0000-4000-8000-00000000000a"


def branch(n: int, **more: Any) -> Any:
    """Return association number `n` of a host, with all that can be known of it. A value of None takes the key out."""
    name = hashlib.sha256(b"%d" % n).hexdigest()
    known = {
        "association_id": f"assoc-{name[:17]}",
        "instance_id": INSTANCE,
        "boot_id": BOOT,
        "container_id": name,
        "ifname": "eth0",
        "eni_id": f"eni-{name[17:34]}",
        "branch_mac": f"0a:1b:2c:3d:{n >> 8:02x}:{n & 255:02x}",
        "vlan_id": 101 + n,
        "addresses": [f"10.0.{32 + n // 250}.{n % 250 + 4}/20"],
        "protocol": "vlan",
        "trunk_eni_id": "eni-0fedcba9876543210",
        "trunk_mac": "0a:ff:ee:dd:cc:bb",
        "trunk_ifname": "enp40s0",
        "netns": f"/proc/{2000 + n}/ns/net",
        "netns_inode": 4026532281 + n,
        "pid": 2000 + n,
        "task_arn": f"arn:aws:ecs:eu-central-1:123456789012:task/prod/{name[:32]}",
        "task_family": "api",
        "task_revision": "17",
        "service": "api",
        "cluster": "prod",
        "via": "interposed",
        "plugin": "vpc-branch-eni",
        "pause_name": f"ecs-api-17-internalecspause-{name[:18]}",
        "private_dns_name": f"ip-10-0-32-{n + 4}.eu-central-1.compute.internal",
        "containers": [{"id": name[::-1], "name": "app"}, {"id": hashlib.sha256(name.encode()).hexdigest()}],
        "since": "2026-11-27T03:12:40.000000Z",
        "add_seq": n + 2,
    }
    return {key: value for key, value in {**known, **more}.items() if value is not None}


def branches(count: int, **more: Any) -> list[Any]:
    """Return so many of them."""
    return [branch(n, **more) for n in range(count)]


HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a\u202egnp.exe",
    "]]><!--",
    "#quot;];n0-->n1",
    "\x1b[31mred\x07",
    'dot"];bad[label="\\',
    "{{ 7 * 7 }}{% raw %}",
)
"""Names that would do harm where they are not escaped: in HTML, XML, DOT, Mermaid, a template, a terminal."""
