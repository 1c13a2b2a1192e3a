"""One HTTP client: the same bounds over a Unix socket and over TCP."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

import eni_ledger
from eni_ledger.base.http_client import AnswerTooLong, HttpError, HttpServer, HttpTimeout
from helpers.http_server import Reply, Request, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from helpers.http_server import Server

    Listen = Callable[[Callable[[Request], Reply]], AbstractContextManager[Server]]

from pathlib import Path


@pytest.fixture(params=["unix", "tcp"])
def listen(request: pytest.FixtureRequest, tmp_path: Path) -> Listen:
    return lambda answer: serve(answer, tmp_path / "sock" if request.param == "unix" else None)


def test_one_request(listen: Listen) -> None:
    with listen(lambda request: Reply(201, f"{request.method} {request.body}", {"X-One": "1"})) as server:
        answer = HttpServer(server.url, 2.0, 100).request("PUT", "/a?b=1", b"text", {"X-Two": "2"})
    assert (answer.status, answer.body, answer.headers["x-one"]) == (201, b"PUT text", "1")
    assert [(request.path, request.headers["x-two"]) for request in server.requests] == [("/a?b=1", "2")]


def test_the_path_of_the_url_comes_first() -> None:
    with serve(lambda _: Reply()) as server:
        HttpServer(f"{server.url}/base/", 2.0, 100).request("GET", "/a")
    assert [request.path for request in server.requests] == ["/base/a"]


def test_a_body_of_the_bound_and_one_byte_more(
    listen: Listen,
) -> None:
    with listen(lambda request: Reply(body="x" * int(request.path[1:]))) as server:
        client = HttpServer(server.url, 2.0, 10)
        assert client.request("GET", "/10").body == b"x" * 10
        with pytest.raises(AnswerTooLong, match="more than 10 bytes"):
            client.request("GET", "/11")


def test_a_server_that_hangs(listen: Listen) -> None:
    with listen(lambda _: Reply(wait=True)) as server, pytest.raises(HttpTimeout, match=r"^0\.1 s$"):
        HttpServer(server.url, 0.1, 10).request("GET", "/")


def test_no_socket_and_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(HttpError, match="No such file") as raised:
        HttpServer(str(tmp_path / "none"), 2.0, 10).request("GET", "/")
    assert raised.value.absent
    (tmp_path / "file").write_text("")
    with pytest.raises(HttpError, match="refused") as raised:
        HttpServer(str(tmp_path / "file"), 2.0, 10).request("GET", "/")
    assert not raised.value.absent


@pytest.mark.parametrize("address", ["", "https://h", "h", "http://", "http://[::1", "http://h:x", "relative.sock"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ValueError, match=r"URL|Port"):
        HttpServer(address, 2.0, 10)


def test_no_other_module_makes_http_connections() -> None:
    """One way to speak HTTP by hand: modules that import what makes connections."""
    makers = set()
    root = Path(eni_ledger.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = isinstance(node, ast.Import) and [alias.name for alias in node.names]
            names = isinstance(node, ast.ImportFrom) and [f"{node.module}.{alias.name}" for alias in node.names]
            if {"http.client", "http.client.HTTPConnection", "urllib.request"} & {*(imported or names or ())}:
                makers.add(str(path.relative_to(root)))
    assert makers == {"base/http_client.py"}
