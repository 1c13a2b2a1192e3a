"""The ENI ID of a branch, from EC2's `DescribeNetworkInterfaces`. Needs boto3: `pip install 'eni-ledger[aws]'`.

Source: Amazon EC2 API reference, `DescribeNetworkInterfaces` (filter `mac-address`; permission
`ec2:DescribeNetworkInterfaces`). A branch has `InterfaceType` `branch` and status `in-use` without an `Attachment`. It
speaks of the present: what has ended is not asked for, MACs are given out again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from eni_ledger.base.addresses import ip, mac_text
from eni_ledger.identity.imds import Imds
from eni_ledger.identity.source import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.base.events import Draft, Fields

Describe = Callable[[str], list[dict[str, Any]]]


class Ec2:
    """EC2 in the instance's region. Each MAC is asked for once; `describe` returns the interfaces that have it."""

    name = "ec2"
    gives = frozenset(("eni_id", "trunk_eni_id"))
    past = False

    def __init__(self, timeout_s: float = 2.0, describe: Describe | None = None) -> None:
        self._timeout_s = timeout_s
        self._describe = describe
        self._known: dict[str, list[dict[str, Any]]] = {}

    def ask(self, association: Fields) -> Fields:
        """Return the ENI IDs of branch and trunk. Raises Unavailable without boto3, a region or permission."""
        declared = {ip(str(address).partition("/")[0]) for address in association.get("addresses") or ()} - {None}
        fields: Draft = {}
        branch = mac_text(association.get("branch_mac"))
        if branch and association.get("eni_id") is None:
            fields["eni_id"] = _one([eni for eni in self._with(branch) if not declared or declared & _addresses(eni)])
        trunk = mac_text(association.get("trunk_mac"))
        if trunk and association.get("trunk_eni_id") is None:
            fields["trunk_eni_id"] = _one([eni for eni in self._with(trunk) if eni.get("InterfaceType") != "branch"])
        return {key: value for key, value in fields.items() if value}

    def _with(self, mac: str) -> list[dict[str, Any]]:
        if mac not in self._known:
            self._describe = self._describe or _client(self._timeout_s)
            self._known[mac] = self._describe(mac)
        return self._known[mac]


def _one(enis: list[dict[str, Any]]) -> str | None:
    """Return the ID of the ENI, None unless exactly one has the MAC (other VPCs of the account may reuse it)."""
    ids = {str(eni.get("NetworkInterfaceId", "")) for eni in enis}
    return ids.pop() if len(ids) == 1 else None


def _addresses(eni: dict[str, Any]) -> set[str | None]:
    private = [entry.get("PrivateIpAddress") for entry in eni.get("PrivateIpAddresses") or ()]
    ipv6 = [entry.get("Ipv6Address") for entry in eni.get("Ipv6Addresses") or ()]
    return {ip(address) for address in [*private, *ipv6, eni.get("PrivateIpAddress")]} - {None}


def _client(timeout_s: float) -> Describe:
    """Return a function that asks EC2. Raises Unavailable."""
    try:
        import boto3  # an optional library
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as exc:
        if getattr(sys, "frozen", False):
            hint = "ask agent-db, docker and imds; or run identify of eni-ledger[aws] in a Python environment here"
            raise Unavailable("this bundle has no EC2 source", "boto3 is not part of it", hint) from exc
        raise Unavailable("boto3 is not installed", str(exc), "pip install 'eni-ledger[aws]'") from exc
    try:
        session = boto3.Session()
        limits = Config(
            connect_timeout=timeout_s, read_timeout=timeout_s, retries={"total_max_attempts": 2, "mode": "standard"}
        )
        client = session.client("ec2", region_name=session.region_name or _region(timeout_s), config=limits)
    except (BotoCoreError, ValueError) as exc:
        raise Unavailable(
            "EC2 cannot be asked", str(exc), "set AWS_REGION, and credentials as for the AWS CLI"
        ) from exc

    def describe(mac: str) -> list[dict[str, Any]]:
        try:
            answer = client.describe_network_interfaces(Filters=[{"Name": "mac-address", "Values": [mac]}])
        except (BotoCoreError, ClientError) as exc:
            hint = "the role needs ec2:DescribeNetworkInterfaces"
            raise Unavailable("EC2 does not answer", f"{exc!s:.300}", hint) from exc
        return list(answer.get("NetworkInterfaces") or [])

    return describe


def _region(timeout_s: float) -> str | None:
    """Return the region of the instance, None if it is not known."""
    try:
        return os.environ.get("AWS_REGION") or Imds(timeout_s).region()
    except Unavailable:
        return None
