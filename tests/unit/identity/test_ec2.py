"""The ENI ID from EC2: boto3 itself against a server on loopback that answers in EC2's XML."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from eni_ledger.identity.ec2 import Ec2
from eni_ledger.identity.source import Unavailable
from helpers.http_server import Reply, Request, serve
from helpers.prereq import need

if TYPE_CHECKING:
    from collections.abc import Iterator

BRANCH_MAC, TRUNK_MAC = "0a:00:00:00:01:01", "0a:00:00:00:00:01"
BRANCH, OTHER, TRUNK = (f"eni-{n:017x}" for n in (1, 2, 3))
ASSOCIATION = {"branch_mac": BRANCH_MAC, "trunk_mac": TRUNK_MAC, "addresses": ["10.0.32.4/20"]}

ITEM = (
    "<item><networkInterfaceId>{eni}</networkInterfaceId><macAddress>{mac}</macAddress><status>in-use</status>"
    "<interfaceType>{kind}</interfaceType><privateIpAddress>{ip}</privateIpAddress>"
    "<privateIpAddressesSet><item><privateIpAddress>{ip}</privateIpAddress><primary>true</primary></item>"
    "</privateIpAddressesSet></item>"
)
ANSWER = (
    '<?xml version="1.0" encoding="UTF-8"?><DescribeNetworkInterfacesResponse '
    'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>'
    "<networkInterfaceSet>{items}</networkInterfaceSet></DescribeNetworkInterfacesResponse>"
)
DENIED = (
    '<?xml version="1.0"?><Response><Errors><Error><Code>UnauthorizedOperation</Code>'
    "<Message>You are not authorized to perform this operation.</Message></Error></Errors>"
    "<RequestID>r</RequestID></Response>"
)


class Cloud:
    """Network interfaces (ENI, MAC, type, address) as EC2 tells of them."""

    def __init__(self) -> None:
        self.enis = [(BRANCH, BRANCH_MAC, "branch", "10.0.32.4"), (TRUNK, TRUNK_MAC, "trunk", "10.0.16.9")]
        self.reply: Reply | None = None
        self.asked: list[dict[str, list[str]]] = []

    def answer(self, request: Request) -> Reply:
        query = parse_qs(request.body)
        self.asked.append(query)
        assert query["Action"] == ["DescribeNetworkInterfaces"]
        assert query["Filter.1.Name"] == ["mac-address"]
        found = [eni for eni in self.enis if [eni[1]] == query["Filter.1.Value.1"]]
        items = "".join(ITEM.format(eni=eni, mac=mac, kind=kind, ip=ip) for eni, mac, kind, ip in found)
        return self.reply or Reply(body=ANSWER.format(items=items), headers={"Content-Type": "text/xml"})


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    need(find_spec("boto3"), "boto3")
    made = Cloud()
    with serve(made.answer) as server:
        for name, value in {
            "AWS_ENDPOINT_URL_EC2": server.url,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        yield made


def test_branch_and_trunk(cloud: Cloud) -> None:
    source = Ec2()
    assert source.ask(ASSOCIATION) == {"eni_id": BRANCH, "trunk_eni_id": TRUNK}
    assert source.ask({**ASSOCIATION, "eni_id": BRANCH}) == {"trunk_eni_id": TRUNK}
    assert len(cloud.asked) == 2  # each MAC once


def test_an_interface_with_other_addresses_is_not_the_one(cloud: Cloud) -> None:
    cloud.enis = [(OTHER, BRANCH_MAC, "branch", "10.9.9.9")]
    assert Ec2().ask(ASSOCIATION) == {}


def test_of_two_with_the_mac_the_address_decides(cloud: Cloud) -> None:
    cloud.enis.append((OTHER, BRANCH_MAC, "branch", "10.9.9.9"))
    assert Ec2().ask(ASSOCIATION)["eni_id"] == BRANCH
    assert "eni_id" not in Ec2().ask({**ASSOCIATION, "addresses": []})


def test_nothing_is_asked_without_a_mac(cloud: Cloud) -> None:
    assert Ec2().ask({"addresses": ["10.0.32.4/20"]}) == {}
    assert cloud.asked == []


def test_no_permission(cloud: Cloud) -> None:
    cloud.reply = Reply(403, DENIED, {"Content-Type": "text/xml"})
    with pytest.raises(Unavailable, match="UnauthorizedOperation") as caught:
        Ec2().ask(ASSOCIATION)
    assert caught.value.hint == "the role needs ec2:DescribeNetworkInterfaces"


def test_nobody_answers(cloud: Cloud) -> None:
    cloud.reply = Reply(wait=True)
    with pytest.raises(Unavailable, match="EC2 does not answer"):
        Ec2(0.1).ask(ASSOCIATION)


def test_no_region(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(Unavailable, match="region") as caught:
        Ec2(0.1).ask(ASSOCIATION)
    assert "AWS_REGION" in caught.value.hint


def test_without_boto3() -> None:
    code = (
        "import sys; sys.modules['boto3'] = None\n"
        "from eni_ledger.identity.ec2 import Ec2\n"
        "from eni_ledger.identity.source import Unavailable\n"
        "try: Ec2().ask({'branch_mac': '0a:00:00:00:01:01'})\n"
        "except Unavailable as exc: print(exc.msg, '|', exc.hint)"
    )
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "boto3 is not installed | pip install 'eni-ledger[aws]'\n"


def test_a_bundle_cannot_have_boto3_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(Unavailable, match="this bundle has no EC2 source") as caught:
        Ec2().ask(ASSOCIATION)
    assert "agent-db" in caught.value.hint
