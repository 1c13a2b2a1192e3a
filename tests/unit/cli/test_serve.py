"""serve as a process: routes, refusals, pages, events as they are recorded."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from helpers.ledgers import add_event, del_event, record
from helpers.patience import PATIENCE_S
from helpers.serving import PROGRAM, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unit.cli.conftest import Run

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071"
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e&"


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("serve") / "state"
    for n in range(1, 8):
        record(path, add_event(n, task_family=HOSTILE if n == 6 else "api", task_arn=TASK if n == 5 else None))
    record(path, del_event(1))
    record(path, add_event(20, vlan_id=None, protocol="default"))
    return path


@pytest.fixture(scope="module")
def server(state_dir: Path) -> Iterator[Serving]:
    with serving(state_dir) as server:
        yield server


class TestJson:
    def test_what_is_live(self, server: Serving) -> None:
        document = server.ask("/v1/associations").json()
        assert [one["vlan_id"] for one in document["associations"][:-1]] == [3, 4, 5, 6, 7, 8]
        assert document["next"] is None

    def test_pages(self, server: Serving) -> None:
        found, path = [], "/v1/associations?limit=3"
        for _ in range(3):
            document = server.ask(path).json()
            found += document["associations"]
            path = f"/v1/associations?limit=3&next={document['next']}"
        assert document["next"] is None
        assert found == server.ask("/v1/associations").json()["associations"]

    def test_filters(self, server: Serving) -> None:
        assert len(server.ask("/v1/associations?family=ap*&vlan=4").json()["associations"]) == 1

    def test_who_is_what_the_command_says(self, server: Serving, state_dir: Path, run: Run) -> None:
        document = server.ask("/v1/who?what=10.0.0.5").json()
        said = run("who", "10.0.0.5", "--json", "--state-dir", str(state_dir)).json()
        known = [{key: value for key, value in one.items() if value is not None} for one in said["associations"]]
        assert document["associations"] == known

    def test_at_a_time_and_its_neighbours(self, server: Serving) -> None:
        one = server.ask("/v1/who?what=10.0.0.1").json()["associations"][0]
        then = server.ask(f"/v1/who?what=10.0.0.1&at={one['since']}").json()
        assert then["associations"] == [one]
        assert then["at"] == one["since"]
        later = server.ask(f"/v1/who?what=10.0.0.1&at={one['until']}").json()
        assert (later["associations"], later["before"], later["after"]) == ([], one, None)
        during = server.ask(f"/v1/associations?since={one['since']}&until={one['since']}").json()
        assert during["associations"] == [one]

    def test_events_and_their_pages(self, server: Serving) -> None:
        found, path = [], "/v1/events?limit=4"
        while path:
            document = server.ask(path).json()
            found += document["events"]
            path = document["next"] and f"/v1/events?limit=4&next={document['next']}"
        assert [event["seq"] for event in found] == list(range(1, 11))
        assert [event["event"] for event in server.ask("/v1/events?event=del").json()["events"]] == ["del"]

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/v1/who", 400),
            ("/v1/who?what=", 400),
            ("/v1/who?what=1&what=2", 400),
            ("/v1/who?what=%ff", 400),
            ("/v1/who?what=%20", 404),
            ("/v1/who?what=" + "x" * 201, 400),
            ("/v1/who?what=1&nonsense=1", 400),
            ("/v1/who?what=1&at=yesterday", 400),
            ("/v1/who?what=1&at=2026-02-30T00:00:00Z", 400),
            ("/v1/who?what=1&at=2001-01-01T00:00:00Z", 404),
            ("/v1/who?what=1&at=2901-01-01T00:00:00Z", 404),
            ("/v1/who?what=1&at=2026-01-01T00:00:00Z&since=2026-01-01T00:00:00Z", 409),
            ("/v1/events?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", 409),
            ("/v1/associations?limit=0", 400),
            ("/v1/associations?limit=1001", 400),
            ("/v1/associations?next=nonsense", 404),
            ("/v1/events?next=nonsense", 404),
            ("/v1", 404),
            ("/v1/associations/", 404),
            ("/../../etc/passwd", 404),
        ],
    )
    def test_bad_input_is_a_clear_error(self, server: Serving, path: str, status: int) -> None:
        answer = server.ask(path)
        assert answer.status == status, answer.body
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"]["message"]

    def test_nothing_can_be_changed(self, server: Serving) -> None:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            answer = server.ask("/v1/associations", method)
            assert answer.status == 405, method
            assert "GET" in answer.headers["allow"]


class TestRefusals:
    @pytest.mark.parametrize(
        "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1"]
    )
    def test_a_foreign_host(self, server: Serving, host: str) -> None:
        assert server.ask("/v1/associations", Host=host).status == 403

    @pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:80", "LOCALHOST"])
    def test_names_of_loopback_are_ours(self, server: Serving, host: str) -> None:
        assert server.ask("/v1/associations", Host=host).status == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:9"},
        ],
        ids=str,
    )
    def test_a_page_of_another_site(self, server: Serving, headers: dict[str, str]) -> None:
        for path in ("/", "/v1/associations", "/v1/events", "/openapi.json"):
            assert server.ask(path, **headers).status == 403
        assert b"UnauthorizedOperation" in server.ec2("Action=DescribeNetworkInterfaces", **headers).body

    def test_no_answer_allows_another_origin_anything(self, server: Serving) -> None:
        own = server.url
        answer = server.ask("/v1/associations", Origin=own, Sec_Fetch_Site="same-origin")
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"

    def test_a_large_request(self, server: Serving) -> None:
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), PATIENCE_S) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
            assert b" 413 " in client.recv(4096)
        assert server.ask("/v1/associations", Padding="x" * 1_000_000).status in (400, 431)
        assert server.ask("/v1/associations").status == 200

    def test_a_large_path(self, server: Serving) -> None:
        assert server.ask("/v1/who?what=" + "x" * 1_000_000).status in (400, 414, 431)


class TestEc2:
    def test_an_unknown_action(self, server: Serving) -> None:
        answer = server.ec2("Action=TerminateInstances&Version=2016-11-15&InstanceId.1=i-1")
        assert answer.status == 400
        root = ElementTree.fromstring(answer.body)
        assert root.findtext("Errors/Error/Code") == "InvalidAction"
        assert root.findtext("RequestID")

    @pytest.mark.parametrize(
        ("form", "status", "code"),
        [
            ("", 400, "MissingAction"),
            ("Action=DescribeNetworkInterfaces&Nonsense=1", 400, "UnknownParameter"),
            ("Action=DescribeNetworkInterfaces&Filter.1.Name=vlan-id&Filter.1.Value.1=1", 400, "InvalidParameterValue"),
            ("Action=DescribeNetworkInterfaces&Filter.1.Value.1=1", 400, "InvalidParameterValue"),
            ("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1=eni-1", 400, "InvalidNetworkInterfaceID.NotFound"),
            ("Action=DescribeNetworkInterfaces&MaxResults=2", 400, "InvalidParameterValue"),
            ("Action=DescribeNetworkInterfaces&MaxResults=many", 400, "InvalidParameterValue"),
            ("Action=DescribeNetworkInterfaces&NextToken=nonsense", 400, "InvalidNextToken"),
            ("Action=DescribeNetworkInterfaces&DryRun=true", 412, "DryRunOperation"),
            ("Action=DescribeNetworkInterfaces&Version=1", 400, "NoSuchVersion"),
            ("Action=DescribeNetworkInterfaces&Action=x", 400, "InvalidParameterValue"),
            ("Action=%ff", 400, "MalformedQueryString"),
            ("Action=DescribeTrunkInterfaceAssociations&AssociationId.1=x", 400, "InvalidAssociationID.NotFound"),
        ],
    )
    def test_what_ec2_refuses_is_refused(self, server: Serving, form: str, status: int, code: str) -> None:
        answer = server.ec2(form)
        assert answer.status == status
        assert ElementTree.fromstring(answer.body).findtext("Errors/Error/Code") == code

    def test_hostile_names_are_text(self, server: Serving) -> None:
        answer = server.ec2("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1=eni-00000000000000006")
        texts = [element.text or "" for element in ElementTree.fromstring(answer.body).iter()]
        assert any(text.startswith("<script>") for text in texts)
        assert all(text.isprintable() for text in texts)

    def test_a_whole_eni_is_no_branch(self, server: Serving) -> None:
        assert b"eni-00000000000000014" not in server.ec2("Action=DescribeNetworkInterfaces").body


def test_the_page_has_what_is_live_and_nothing_else_is_loaded(server: Serving) -> None:
    answer = server.ask("/")
    text = answer.body.decode()
    assert answer.headers["content-type"] == "text/html;charset=UTF-8"
    assert "Content-Security-Policy" in text
    assert "eni-00000000000000005" in text
    assert "<script>alert(1)" not in text


def test_the_openapi_document_has_every_route(server: Serving) -> None:
    document = server.ask("/openapi.json").json()
    assert set(document["paths"]) == {"/", "/v1/associations", "/v1/who", "/v1/events", "/openapi.json"}


def test_an_answer_is_the_new_one_once_something_was_recorded(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    record(state_dir, add_event(1))
    with serving(state_dir) as server:

        def live(what: str) -> list[bool]:
            return ["until" not in one for one in server.ask(f"/v1/who?what={what}").json()["associations"]]

        for _ in range(2):  # the second one is kept
            assert live("10.0.0.1") == [True]
            assert live("10.0.0.2") == []
        record(state_dir, add_event(2))
        assert live("10.0.0.2") == [True]
        record(state_dir, del_event(1))
        assert live("10.0.0.1") == [False]
        record(state_dir, add_event(3, addresses=["10.0.0.1/20"]))
        assert live("10.0.0.1") == [False, True]
        assert len(server.ask("/v1/associations").json()["associations"]) == 2


def read_event(stream: Any) -> tuple[str, dict[str, Any]]:
    """Return ID and data of the next server-sent event."""
    fields: dict[str, str] = {}
    while True:
        line = stream.readline().decode().rstrip("\n")
        if not line and "data" in fields:
            return fields["id"], json.loads(fields["data"])
        name, _, value = line.partition(": ")
        fields[name] = value


def test_events_are_sent_as_they_are_recorded_and_again_from_the_last_one(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    record(state_dir, add_event(1))
    with serving(state_dir) as server:
        connection = server.connection()
        connection.request("GET", "/v1/events", headers={"Accept": "text/event-stream"})
        stream = connection.getresponse()
        assert stream.getheader("Content-Type") == "text/event-stream;charset=UTF-8"
        assert stream.readline() == b"retry: 3000\n"
        record(state_dir, add_event(2))
        where, event = read_event(stream)
        assert event["vlan_id"] == 3
        connection.close()
        record(state_dir, add_event(3))
        again = server.connection()
        again.request("GET", "/v1/events", headers={"Accept": "text/event-stream", "Last-Event-ID": where})
        assert read_event(again.getresponse())[1]["vlan_id"] == 4
        again.close()


def test_a_unix_socket_is_for_root_and_its_group(state_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):  # the second one replaces what the first one has left
        with serving(state_dir, "--listen", f"unix:{path}") as server:
            assert path.stat().st_mode & 0o777 == 0o660
            assert server.ask("/v1/associations").status == 200


def test_a_port_in_use_is_a_clear_error(server: Serving, state_dir: Path, run: Run, tmp_path: Path) -> None:
    place = server.url.removeprefix("http://")
    done = run("serve", "--state-dir", str(state_dir), "--listen", place)
    assert done.code == 3
    assert "error: cannot listen: " in done.err
    assert "address already in use" in done.err
    with serving(state_dir, "--listen", f"unix:{tmp_path / 'socket'}"):
        done = run("serve", "--state-dir", str(state_dir), "--listen", f"unix:{tmp_path / 'socket'}")
        assert (done.code, "another program listens there" in done.err) == (3, True)


@pytest.mark.parametrize(
    ("args", "status", "words"),
    [
        (["--listen", "0.0.0.0:0"], 2, "beyond loopback each request needs a token"),
        (["--listen", "nonsense"], 2, "--listen is not a place"),
        (["--listen", "127.0.0.1:99999"], 2, "--listen is not a place"),
        (["--listen", "999.0.0.1:80"], 2, "no IP address"),
        (["--listen", "unix:relative"], 2, "absolute"),
        (["--listen", "unix:/" + "x" * 200], 2, "107 bytes"),
        (["--listen", "unix:/nonexistent/socket"], 3, "no such file or directory"),
        (["--listen", "unix:/dev/null"], 3, "something else"),
        (["--token-file", "/nonexistent"], 2, "the token file cannot be read"),
        (["--token-file", "/dev/null"], 2, "a token is 16 to 256"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_wrong_places_and_tokens(state_dir: Path, run: Run, args: list[str], status: int, words: str) -> None:
    done = run("serve", "--state-dir", str(state_dir), *args)
    assert (done.code, words in done.err) == (status, True), done.err


def test_without_a_ledger_it_does_not_start(run: Run) -> None:
    assert run("serve", "--listen", "127.0.0.1:0").code == 3


def test_beyond_loopback_every_request_needs_the_token(state_dir: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("correct-horse-battery\n")
    with serving(state_dir, "--listen", "0.0.0.0:0", "--token-file", str(token)) as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        refused = server.ask("/v1/associations")
        assert (refused.status, refused.headers["www-authenticate"][:5]) == (401, "Basic")
        for wrong in ("Bearer wrong-horse-battery", "Basic !", "Bearer", "Basic " + "x" * 100):
            assert server.ask("/v1/associations", Authorization=wrong).status == 401
        for right in (
            "Bearer correct-horse-battery",
            "Basic dXNlcjpjb3JyZWN0LWhvcnNlLWJhdHRlcnk=",
            "AWS4-HMAC-SHA256 Credential=correct-horse-battery/20261128/us-east-1/ec2/aws4_request, SignedHeaders=host",
        ):
            assert server.ask("/v1/associations", Authorization=right).status == 200
        assert b"AuthFailure" in server.ec2("Action=DescribeNetworkInterfaces").body
    with subprocess.Popen(
        [*PROGRAM, "serve", "--state-dir", state_dir, "--listen", "0.0.0.0:0", "--token-file", token],
        stderr=subprocess.PIPE,
        text=True,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stderr
        said = iter(process.stderr.readline, "")
        assert any("travel in clear" in line for line in said)
        process.terminate()


def test_it_takes_the_sockets_of_systemd(state_dir: Path, tmp_path: Path) -> None:
    """systemd-socket-activate would do, but it opens the socket only as root of its own."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        script = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
            "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(listener.fileno()), *PROGRAM[1:], "serve", "--state-dir", state_dir],
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[listener.fileno(), 3] if listener.fileno() != 3 else [3],
            env={**os.environ, "LISTEN_FDS": "1"},
        )
        assert process.stdout
        url = process.stdout.readline().removeprefix("listening on ").strip()
        try:
            assert url == f"unix:{tmp_path / 'socket'}"
            assert Serving(process, url).ask("/v1/associations").status == 200
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize(("pid", "fds"), [("", "1"), ("1", "1")])
def test_sockets_for_another_process_are_not_taken(pid: str, fds: str) -> None:
    from eni_ledger.desk.serve.listening import handed_over

    assert handed_over({"LISTEN_PID": pid, "LISTEN_FDS": fds}) == []
