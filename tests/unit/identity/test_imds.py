"""The trunk's ENI ID from a metadata service on loopback that insists on version 2, as EC2's can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eni_ledger.identity.imds import Imds
from eni_ledger.identity.source import Unavailable
from helpers.http_server import Reply, Request, serve

if TYPE_CHECKING:
    from collections.abc import Callable

TRUNK = "0a:00:00:00:00:01"
ENI = "eni-0fedcba9876543210"
TOKEN = "AQAEAtoken=="
BRANCH = {"trunk_mac": TRUNK}


def service(**categories: str) -> Callable[[Request], Reply]:
    known = {f"network/interfaces/macs/{TRUNK}/interface-id": ENI, "placement/region": "eu-west-1", **categories}

    def answer(request: Request) -> Reply:
        if request.method == "PUT":
            fine = request.path == "/latest/api/token" and request.headers.get("x-aws-ec2-metadata-token-ttl-seconds")
            return Reply(body=TOKEN) if fine else Reply(400)
        if request.headers.get("x-aws-ec2-metadata-token") != TOKEN:
            return Reply(401)
        text = known.get(request.path.removeprefix("/latest/meta-data/"))
        return Reply(404) if text is None else Reply(body=text)

    return answer


def imds(url: str, timeout_s: float = 2.0, **env: str) -> Imds:
    return Imds(timeout_s, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": url, **env})


def test_the_trunk_s_eni(tmp_path: object) -> None:
    with serve(service()) as server:
        source = imds(server.url)
        assert source.ask(BRANCH) == {"trunk_eni_id": ENI}
        assert source.ask({"trunk_mac": TRUNK.upper()}) == {"trunk_eni_id": ENI}
        assert source.region() == "eu-west-1"
    # one token, and each MAC once
    assert [request.method for request in server.requests] == ["PUT", "GET", "GET"]


def test_a_trunk_that_is_not_of_this_instance() -> None:
    with serve(service()) as server:
        assert imds(server.url + "/").ask({"trunk_mac": "0a:00:00:00:00:02"}) == {}


@pytest.mark.parametrize("mac", [None, "", "x", "0a:00:00:00:00:01/../../.."])
def test_what_is_no_mac_is_not_asked_for(mac: object) -> None:
    assert imds("http://127.0.0.1:1").ask({"trunk_mac": mac}) == {}


@pytest.mark.parametrize("text", ["", "eni-xyz", "<html>", "eni-0fedcba9876543210\x1b"])
def test_an_answer_that_is_no_eni(text: str) -> None:
    with serve(service(**{f"network/interfaces/macs/{TRUNK}/interface-id": text})) as server:
        assert imds(server.url).ask(BRANCH) == {}


def test_nobody_listens() -> None:
    with serve(service()) as server:
        pass
    with pytest.raises(Unavailable, match=r"cannot be asked: http://127.0.0.1:.*: Connection refused"):
        imds(server.url).ask(BRANCH)


def test_a_service_that_hangs_costs_the_timeout() -> None:
    with serve(lambda _: Reply(wait=True)) as server, pytest.raises(Unavailable, match=r"in time: .*: 0\.1 s"):
        imds(server.url, 0.1).ask(BRANCH)


@pytest.mark.parametrize("status", [401, 403, 500])
def test_refusals(status: int) -> None:
    with serve(lambda _: Reply(status)) as server, pytest.raises(Unavailable, match=f"no token: .* status {status}"):
        imds(server.url).ask(BRANCH)

    def later(request: Request) -> Reply:
        return Reply(body=TOKEN) if request.method == "PUT" else Reply(status)

    with serve(later) as server, pytest.raises(Unavailable, match=f"refuses to answer: .* status {status}"):
        imds(server.url).ask(BRANCH)


def test_disabled_as_for_the_sdks() -> None:
    with pytest.raises(Unavailable, match="disabled: AWS_EC2_METADATA_DISABLED=true"):
        imds("http://127.0.0.1:1", AWS_EC2_METADATA_DISABLED="TRUE").ask(BRANCH)


@pytest.mark.parametrize("url", ["https://127.0.0.1", "127.0.0.1", "http://", "http://[::1", "http://h:x"])
def test_an_endpoint_that_is_none(url: str) -> None:
    with pytest.raises(Unavailable, match="is no http URL"):
        imds(url).ask(BRANCH)


def test_without_an_endpoint_it_is_that_of_ec2() -> None:
    assert Imds(env={})._endpoint == "http://169.254.169.254"
