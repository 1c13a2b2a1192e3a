"""What a text is taken for: other spellings are the same question, and what is not looked up is refused."""

from __future__ import annotations

from typing import Any

import pytest

from eni_ledger.base.errors import UsageError
from eni_ledger.ledger.read import spelling
from eni_ledger.ledger.read.spelling import classify, not_looked_up

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071"
ENI = "eni-0123456789abcdef0"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("10.0.32.5", "ip", "10.0.32.5"),
        ("10.0.32.5!", "ip", "10.0.32.5"),  # as a table marks what the kernel shows otherwise
        ("10.0.32.5/20", "ip", "10.0.32.5"),
        ("10.0.32.0/32", "ip", "10.0.32.0"),
        ("10.0.32.0/31", "ip", "10.0.32.0"),
        ("[10.0.32.5]", "ip", "10.0.32.5"),
        ("::ffff:10.0.32.5", "ip", "10.0.32.5"),
        ("::FFFF:0a00:2005", "ip", "10.0.32.5"),
        ("[::ffff:10.0.32.5]", "ip", "10.0.32.5"),
        ("0a:36:bf:4e:57:7e", "mac", "0a:36:bf:4e:57:7e"),
        ("0A-36-BF-4E-57-7E", "mac", "0a:36:bf:4e:57:7e"),
        ("0a36.bf4e.577e", "mac", "0a:36:bf:4e:57:7e"),
        ("0A36.BF4E.577E", "mac", "0a:36:bf:4e:57:7e"),
        ("a:36:bf:4e:57:7", "mac", "0a:36:bf:4e:57:07"),
        ("ENI-0123456789ABCDEF0", "eni", ENI),
        (f"arn:aws:ec2:eu-central-1:123456789012:network-interface/{ENI}", "eni", ENI),
        ("ASSOC-0123", "association", "assoc-0123"),
        (TASK, "task", TASK),
        ("/proc/257/ns/net", "path", "/proc/257/ns/net"),
        ("/host/proc/257/ns/net", "path", "/proc/257/ns/net"),
        ("/host/var/run/netns/a", "path", "/run/netns/a"),
        ("/var/run/netns/a", "path", "/run/netns/a"),
        ("net:[4026532281]", "netns", 4026532281),
        ("101", "number", "101"),
        ("vlan101", "vlan", 101),
        ("3f9a1c20de41", "name", "3f9a1c20de41"),
        ("demo-web.1", "name", "demo-web.1"),
    ],
)
def test_what_a_text_is_taken_for(text: str, kind: str, value: Any) -> None:
    assert classify(text) == (kind, value)


@pytest.mark.parametrize("text", ["fd00::5", "[fd00::5]", "fd00:0::0005", "fd00::5%eth0", "fd00::5/64", "fd00::5%2/64"])
def test_the_ways_to_write_an_ipv6_address(text: str) -> None:
    kind, value = classify(text)
    assert (kind, str(value)) == ("ip", "fd00::5")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.32.0/20", "CIDRs are not looked up yet: '10.0.32.0/20'"),
        ("0.0.0.0/0", "CIDRs are not looked up yet"),
        ("fd00::/64", "CIDRs are not looked up yet"),
        ("web:17", "families and their revisions are not looked up yet"),
        ("arn:aws:ecs:eu-central-1:123456789012:service/prod/web", "only ARNs of tasks and of network interfaces"),
        ("arn:aws:ecs:eu-central-1:123456789012:cluster/prod", "only ARNs of tasks and of network interfaces"),
        ("arn:aws:ec2:eu-central-1:123456789012:network-interface/vpc-0123456789abcdef0", "not an ENI ID"),
        ("[fd00::5", "that cannot be looked for"),
        ("10.0.32.5:443", "that cannot be looked for"),
        ("!", "that cannot be looked for"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as told:
        classify(text)
    assert says in str(told.value)
    assert told.value.hint


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("web", "names of families, services, clusters and trunks are not looked up yet: 'web'", "a task ARN"),
        ("i-0123456789abcdef0", "instance IDs are not looked up yet", "a task ARN"),
        ("mi-0123456789abcdef0", "instance IDs are not looked up yet", "a task ARN"),
    ],
)
def test_what_a_name_may_be_that_is_no_containers(text: str, says: str, hint: str) -> None:
    error = not_looked_up(text)
    assert f"no container has this ID, and {says}" in str(error)
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "an_id"),
    [
        ("3f9a1c20", True),
        ("3f9a1c20de414f0a8a1b2c3d4e5f6071", True),
        ("8d1e0b4c-0000-4000-8000-00000000000a", True),
        (f"k8s.io-{'0a' * 32}", True),
        ("deadbeef", False),  # a word as good as an ID
        ("3f9a1c2", False),
        ("web-2024", False),
        ("i-0123456789abcdef0", False),
        ("eth0", False),
    ],
)
def test_what_has_the_form_of_an_id(text: str, an_id: bool) -> None:
    assert spelling.is_id(text) is an_id


@pytest.mark.parametrize(
    ("text", "mac"), [("0A36bf4e577e", "0a:36:bf:4e:57:7e"), ("0a36bf4e577", None), ("0a36bf4e577g", None)]
)
def test_twelve_digits_may_be_a_mac(text: str, mac: str | None) -> None:
    assert spelling.bare_mac(text) == mac
