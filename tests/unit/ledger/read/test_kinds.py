"""What a text is taken for: other spellings are the same question, and what can be nothing is refused."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

import pytest

from eni_ledger.base.errors import UsageError
from eni_ledger.ledger.read import spelling
from eni_ledger.ledger.read.kinds import classify

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071"
AWS = "arn:aws:ecs:eu-central-1:123456789012"
ENI = "eni-0123456789abcdef0"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("10.0.32.5", "ip", "10.0.32.5"),
        ("10.0.32.5!", "ip", "10.0.32.5"),  # as a table marks what the kernel shows otherwise
        ("10.0.32.5 +1", "ip", "10.0.32.5"),  # as a table says that there is another address
        ("ip:10.0.32.5/20", "ip", "10.0.32.5"),
        ("10.0.32.0/32", "ip", "10.0.32.0"),
        ("10.0.32.0/31", "cidr", (0x0A002000, 0x0A002001)),
        ("10.0.32.0/20", "cidr", (0x0A002000, 0x0A002FFF)),
        ("cidr:10.0.32.0/20", "cidr", (0x0A002000, 0x0A002FFF)),
        ("10.0.32.0/255.255.255.0", "cidr", (0x0A002000, 0x0A0020FF)),
        ("::ffff:10.0.32.0/120", "cidr", (0x0A002000, 0x0A0020FF)),
        ("0.0.0.0/0", "cidr", (0, 0xFFFFFFFF)),
        ("fd00::/64", "cidr", (IPv6Address("fd00::"), IPv6Address("fd00::ffff:ffff:ffff:ffff"))),
        ("[10.0.32.5]", "ip", "10.0.32.5"),
        ("::ffff:10.0.32.5", "ip", "10.0.32.5"),
        ("::FFFF:0a00:2005", "ip", "10.0.32.5"),
        ("[::ffff:10.0.32.5]", "ip", "10.0.32.5"),
        ("0a:36:bf:4e:57:7e", "mac", "0a:36:bf:4e:57:7e"),
        ("0A-36-BF-4E-57-7E", "mac", "0a:36:bf:4e:57:7e"),
        ("0a36.bf4e.577e", "mac", "0a:36:bf:4e:57:7e"),
        ("0A36.BF4E.577E", "mac", "0a:36:bf:4e:57:7e"),
        ("a:36:bf:4e:57:7", "mac", "0a:36:bf:4e:57:07"),
        ("mac:a:36:bf:4e:57:7", "mac", "0a:36:bf:4e:57:07"),
        ("mac:0A36bf4e577e", "mac", "0a:36:bf:4e:57:7e"),
        ("ENI-0123456789ABCDEF0", "eni", ENI),
        (f"arn:aws:ec2:eu-central-1:123456789012:network-interface/{ENI}", "eni", ENI),
        ("ASSOC-0123", "association", "assoc-0123"),
        (TASK, "task", TASK),
        (f"task:{TASK}", "task", TASK),
        ("task:3f9a", "task_id", "3f9a"),
        ("task:api:17/3f9a", "task_of", ("api", "17", "3f9a")),
        ("api:17/3f9a1c20", "task_of", ("api", "17", "3f9a1c20")),
        ("api/3f9a", "task_of", ("api", None, "3f9a")),
        ("family:api/3f9a", "task_of_family", ("api", None, "3f9a")),
        ("family:api", "family", "api"),
        ("api:17", "revision", ("api", "17")),
        ("family:vlan:3", "revision", ("vlan", "3")),
        ("family:vlan", "family", "vlan"),
        (f"{AWS}:task-definition/api:17", "revision", ("api", "17")),
        ("service:web", "service", ("web", None)),
        ("service:prod/web", "service", ("web", "prod")),
        ("prod/web", "service", ("web", "prod")),
        (f"{AWS}:service/prod/web", "service", ("web", "prod")),
        (f"{AWS}:service/web", "service", ("web", None)),
        ("cluster:prod", "cluster", "prod"),
        (f"{AWS}:cluster/prod", "cluster", "prod"),
        ("container:k8s.io-0a0b", "container", "k8s.io-0a0b"),
        ("trunk:enp40s0", "trunk", "enp40s0"),
        ("trunk:0a:ff:ff:ff:ff:01", "trunk_mac", "0a:ff:ff:ff:ff:01"),
        (f"trunk:{ENI}", "trunk_eni", ENI),
        ("instance:i-0123456789abcdef0", "instance", "i-0123456789abcdef0"),
        ("arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0", "instance", "i-0123456789abcdef0"),
        ("netns:4026532281", "netns", 4026532281),
        ("netns:net:[4026532281]", "netns", 4026532281),
        ("netns:/var/run/netns/a", "path", "/run/netns/a"),
        ("netns:a", "path", "/run/netns/a"),
        ("pid:2577", "pid", 2577),
        (f"eni:{ENI}", "eni", ENI),
        ("/proc/257/ns/net", "path", "/proc/257/ns/net"),
        ("/host/proc/257/ns/net", "path", "/proc/257/ns/net"),
        ("/host/var/run/netns/a", "path", "/run/netns/a"),
        ("/var/run/netns/a", "path", "/run/netns/a"),
        ("net:[4026532281]", "netns", 4026532281),
        ("101", "number", "101"),
        ("101!", "number", "101"),
        ("vlan101", "vlan", 101),
        ("vlan:3", "vlan", 3),
        ("VLAN ID 101", "vlan", 101),
        ("vlan_id:101", "vlan", 101),
        ("3f9a1c20de41", "name", "3f9a1c20de41"),
        ("demo-web.1", "name", "demo-web.1"),
        ("vlan-test", "name", "vlan-test"),
        ("ip-10-0-32-5.ec2.internal", "name", "ip-10-0-32-5.ec2.internal"),
    ],
)
def test_what_a_text_is_taken_for(text: str, kind: str, value: Any) -> None:
    assert classify(text) == (kind, value)


@pytest.mark.parametrize(
    "text", ["fd00::5", "[fd00::5]", "fd00:0::0005", "fd00::5%eth0", "ip:fd00::5/64", "fd00::5/128"]
)
def test_the_ways_to_write_an_ipv6_address(text: str) -> None:
    kind, value = classify(text)
    assert (kind, str(value)) == ("ip", "fd00::5")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.32.5/20", "a CIDR with host bits: '10.0.32.5/20'"),
        ("cidr:10.0.32.5/20", "a CIDR with host bits"),
        ("fd00::5/64", "a CIDR with host bits"),
        ("cidr:prod", "not a CIDR"),
        ("ip:prod", "not an IP address"),
        ("mac:0a:36", "not a MAC"),
        ("vlan:prod", "not a VLAN ID"),
        ("vlan:4095", "not a VLAN ID"),
        ("pid:web", "not a PID"),
        ("eni:web", "not an ENI ID"),
        ("association:web", "not an association ID"),
        ("family:a b", "not a name or an ID"),
        ("family:", "nothing stands behind the kind"),
        ("colour:red", "there is no kind 'colour'"),
        ("arn:aws:s3:::bucket", "an ARN of something that is not recorded"),
        (f"{AWS}:container-instance/prod/0123", "an ARN of something that is not recorded"),
        ("arn:aws:ec2:eu-central-1:123456789012:network-interface/vpc-0123456789abcdef0", "not an ENI ID"),
        ("[fd00::5", "that cannot be looked for"),
        ("10.0.32.5:443", "that is an address and a port"),
        ("[fd00::5]:443", "that is an address and a port"),
        ("!", "that cannot be looked for"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as told:
        classify(text)
    assert says in str(told.value)
    assert told.value.hint


@pytest.mark.parametrize(
    ("text", "mac"), [("0A36bf4e577e", "0a:36:bf:4e:57:7e"), ("0a36bf4e577", None), ("0a36bf4e577g", None)]
)
def test_twelve_digits_may_be_a_mac(text: str, mac: str | None) -> None:
    assert spelling.bare_mac(text) == mac
