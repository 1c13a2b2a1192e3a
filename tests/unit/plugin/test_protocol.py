"""The specification's side of the plugin: environment, standard input, versions, errors."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from eni_ledger.plugin import protocol
from helpers.plugin import VERSIONS

if TYPE_CHECKING:
    from .conftest import Here

COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS")
SINCE = {"ADD": "0.1.0", "DEL": "0.1.0", "CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}


def reached(call: protocol.Call) -> None:
    """Stand in for the command: the call was found valid."""
    call.reply(json.dumps({"network": call.network, "version": call.version}))


# --- environment ---


def test_missing_command(here: Here) -> None:
    served = here.serve("ADD", here.conf(), CNI_COMMAND=None)
    assert (served.status, served.error["code"]) == (1, 4)
    assert "CNI_COMMAND" in served.error["msg"]


@pytest.mark.parametrize("command", ["", "add", "ADD ", "ADD\n", "UPDATE", "\udcff"])
def test_wrong_command(here: Here, command: str) -> None:
    served = here.serve(command, here.conf(), act=reached)
    assert (served.status, served.error["code"]) == (1, 4)
    assert "CNI_COMMAND" in served.error["msg"]


@pytest.mark.parametrize("command", ["ADD", "CHECK"])
def test_all_that_is_missing_is_named_at_once(here: Here, command: str) -> None:
    served = here.serve(command, here.conf(), {"CNI_COMMAND": command}, act=reached)
    assert served.error["code"] == 4
    for name in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"):
        assert name in served.error["msg"]


def test_an_empty_variable_is_missing(here: Here) -> None:
    served = here.serve("ADD", here.conf(), act=reached, CNI_NETNS="", CNI_IFNAME="")
    assert served.error["code"] == 4
    assert "missing: CNI_NETNS, CNI_IFNAME" in served.error["msg"]


def test_missing_and_malformed_are_named_in_one_error(here: Here) -> None:
    served = here.serve("ADD", here.conf(), act=reached, CNI_NETNS=None, CNI_CONTAINERID="a\n", CNI_IFNAME="a/b")
    assert served.error["code"] == 4
    for name in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"):
        assert name in served.error["msg"]


def test_del_needs_no_netns(here: Here) -> None:
    assert here.serve("DEL", here.conf(), act=reached, CNI_NETNS=None).status == 0
    served = here.serve("DEL", here.conf(), {"CNI_COMMAND": "DEL"}, act=reached)
    assert "CNI_NETNS" not in served.error["msg"]
    assert "missing: CNI_CONTAINERID, CNI_IFNAME" in served.error["msg"]


@pytest.mark.parametrize("command", ["GC", "STATUS"])
def test_gc_and_status_are_about_no_container(here: Here, command: str) -> None:
    env = {"CNI_COMMAND": command, "CNI_CONTAINERID": "not valid", "CNI_IFNAME": "a/b"}
    assert here.serve(command, here.conf(), env, act=reached).status == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_cni_path_is_not_required(here: Here, command: str) -> None:
    env = here.env(command)
    assert "CNI_PATH" not in env
    assert here.serve(command, here.conf(), env, act=reached).status == 0


@pytest.mark.parametrize("name", ["a", "0", "Zz_.-9", "c0ffee" * 20])
def test_valid_container_id(here: Here, name: str) -> None:
    assert here.serve("ADD", here.conf(), act=reached, CNI_CONTAINERID=name).status == 0


@pytest.mark.parametrize("name", ["a\n", "\na", ".a", "-a", "_a", "a b", "a/b", "é", "a\udcff", "a\0", "²"])
def test_malformed_container_id(here: Here, name: str) -> None:
    served = here.serve("ADD", here.conf(), act=reached, CNI_CONTAINERID=name)
    assert served.error["code"] == 4
    assert "CNI_CONTAINERID" in served.error["msg"]


@pytest.mark.parametrize("name", ["eth0", "e", "x" * 15, "...", "a.b", "a\x1c", "a\x01", "ä" * 7, "\udcff" * 15])
def test_valid_ifname(here: Here, name: str) -> None:
    assert here.serve("ADD", here.conf(), act=reached, CNI_IFNAME=name).status == 0


@pytest.mark.parametrize("name", [".", "..", "a/b", "a:b", "a b", "a\n", "a\t", "a\xa0", "a\u2003", "x" * 16, "ä" * 8])
def test_malformed_ifname(here: Here, name: str) -> None:
    served = here.serve("ADD", here.conf(), act=reached, CNI_IFNAME=name)
    assert served.error["code"] == 4
    assert "CNI_IFNAME" in served.error["msg"]


# --- standard input ---


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \n",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b'{"name":"n"} {}',
        b'{"name":"n",}',
        b'{"name":NaN}',
        b'{"name":"\xff"}',
        b'\xef\xbb\xbf{"name":"n"}',
        b'{"name":"n","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name":"n","x":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b'{"name":"n","x":"' + b"x" * (1 << 20) + b'"}',
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_cannot_be_decoded(here: Here, data: bytes) -> None:
    served = here.serve("ADD", data, act=reached)
    assert (served.status, served.error["code"]) == (1, 6)
    assert len(served.stdout) < 1000


def test_one_mebibyte_is_read(here: Here) -> None:
    data = b'{"cniVersion":"1.0.0","name":"n","x":"'
    data += b"x" * ((1 << 20) - len(data) - 2) + b'"}'
    assert len(data) == protocol.STDIN_LIMIT
    assert here.serve("ADD", data, act=reached).status == 0


def test_no_more_than_the_limit_is_read() -> None:
    class Endless(io.RawIOBase):
        """A writer that never stops."""

        taken = 0

        def readable(self) -> bool:
            return True

        def readinto(self, into: object) -> int:
            assert isinstance(into, memoryview)
            self.taken += len(into)
            into[:] = b" " * len(into)
            return len(into)

    raw, stdout = Endless(), io.BytesIO()
    env = {"CNI_COMMAND": "GC"}
    assert protocol.serve(env, io.BufferedReader(raw), stdout, io.BytesIO(), reached) == 1
    assert json.loads(stdout.getvalue())["code"] == 6
    assert raw.taken <= protocol.STDIN_LIMIT + (1 << 17)


def test_stdin_that_cannot_be_read(here: Here) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            del size
            raise OSError(5, "Input/output error")

    stdout = io.BytesIO()
    assert protocol.serve(here.env("ADD"), Broken(), stdout, io.BytesIO(), reached) == 1
    assert json.loads(stdout.getvalue())["code"] == 5


def test_closed_stdin(here: Here) -> None:
    stdout = io.BytesIO()
    assert protocol.serve(here.env("ADD"), None, stdout, None, reached) == 1
    assert json.loads(stdout.getvalue())["code"] == 6


@pytest.mark.parametrize("name", [None, "", 1, ["n"], "a\n", "a/b", "-a", "ä"])
def test_network_name(here: Here, name: object) -> None:
    served = here.serve("ADD", here.conf(name=name), act=reached)
    assert (served.status, served.error["code"]) == (1, 7)
    assert "name" in served.error["msg"]


# --- versions ---


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_version_with_every_command(here: Here, command: str, version: str) -> None:
    served = here.serve(command, here.conf(version), act=reached)
    if VERSIONS.index(version) >= VERSIONS.index(SINCE[command]):
        assert (served.status, served.error["version"]) == (0, version)
    else:
        assert (served.status, served.error["code"]) == (1, 1)
        assert served.error["cniVersion"] == version


@pytest.mark.parametrize("conf", [{}, {"cniVersion": ""}, {"cniVersion": None}])
def test_no_version_is_0_1_0(here: Here, conf: dict[str, object]) -> None:
    served = here.serve("ADD", here.conf(None, **conf), act=reached)
    assert served.error["version"] == "0.1.0"


@pytest.mark.parametrize("version", ["1.2.0", "0.5.0", "1.0", "v1.0.0", "1.0.0 ", "1.0.0\n", "abc"])
def test_unknown_version(here: Here, version: str) -> None:
    served = here.serve("ADD", here.conf(version), act=reached)
    assert (served.status, served.error["code"], served.error["cniVersion"]) == (1, 1, "1.1.0")
    assert json.dumps(version)[1:-1].replace("\\n", "\\\\n") in served.stdout.decode()


@pytest.mark.parametrize("version", [1, 1.0, True, 0, False, [], {}, ["1.0.0"]])
def test_version_that_is_no_string(here: Here, version: object) -> None:
    served = here.serve("ADD", here.conf(None, cniVersion=version), act=reached)
    assert (served.status, served.error["code"]) == (1, 6)


@pytest.mark.parametrize("version", VERSIONS)
def test_errors_are_in_the_version_of_the_configuration(here: Here, version: str) -> None:
    served = here.serve("ADD", here.conf(version, name=""), act=reached)
    assert (served.error["code"], served.error["cniVersion"]) == (7, version)


@pytest.mark.parametrize(
    ("data", "echoed"),
    [
        (b"", "1.1.0"),
        (b"{}", "1.1.0"),
        (b"no JSON", "1.1.0"),
        (b"\xff", "1.1.0"),
        (b'{"cniVersion":7}', "1.1.0"),
        (b'{"cniVersion":"9.9.9"}', "1.1.0"),
        (b"x" * (1 << 20) + b"x", "1.1.0"),
        *((b'{"cniVersion":"%b"}' % version.encode(), version) for version in VERSIONS),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_version_command(here: Here, data: bytes, echoed: str) -> None:
    served = here.serve("VERSION", data, {"CNI_COMMAND": "VERSION"})
    assert served.status == 0
    assert json.loads(served.stdout) == {"cniVersion": echoed, "supportedVersions": list(VERSIONS)}
    assert served.stderr == ""


def test_version_without_stdin() -> None:
    stdout = io.BytesIO()
    assert protocol.serve({"CNI_COMMAND": "VERSION"}, None, stdout, None, reached) == 0
    assert json.loads(stdout.getvalue())["cniVersion"] == "1.1.0"


def test_version_on_a_terminal_does_not_wait() -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

        def read(self, size: int | None = -1, /) -> bytes:
            del size
            raise AssertionError("would wait for a person")

    stdout = io.BytesIO()
    assert protocol.serve({"CNI_COMMAND": "VERSION"}, Terminal(), stdout, None, reached) == 0


# --- answers ---


def stumble(call: protocol.Call) -> None:
    raise ZeroDivisionError("a\nb")


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "GC"])
def test_a_bug_harms_nobody(here: Here, command: str) -> None:
    served = here.serve(command, here.conf(prev={"cniVersion": "1.1.0"}), act=stumble)
    assert served.status == 0
    assert served.stdout == (b'{"cniVersion": "1.1.0"}' if command == "ADD" else b"")
    assert served.stderr == "eni-ledger: internal error: ZeroDivisionError: a\\nb\n"


@pytest.mark.parametrize(
    ("command", "keys"),
    [("STATUS", {}), ("ADD", {}), ("ADD", {"onError": "fail", "prevResult": {}}), ("DEL", {"onError": "fail"})],
)
def test_a_bug_is_an_error_in_the_runtimes_language(here: Here, command: str, keys: dict[str, object]) -> None:
    served = here.serve(command, here.conf() | keys, act=stumble)
    assert (served.status, served.error["code"]) == (1, 999)
    assert "ZeroDivisionError" in served.error["msg"]
    assert "Traceback" not in served.stderr
    assert served.stderr.count("\n") == 1


def test_a_bug_after_the_answer_adds_no_second_document(here: Here) -> None:
    def answer_and_stumble(call: protocol.Call) -> None:
        call.reply("{}")
        raise ZeroDivisionError

    served = here.serve("ADD", here.conf(), act=answer_and_stumble)
    assert (served.status, served.stdout) == (1, b"{}")


def test_nobody_reads_the_answer(here: Here) -> None:
    class Gone(io.BytesIO):
        def write(self, data: object, /) -> int:
            del data
            raise BrokenPipeError(32, "Broken pipe")

    stderr = io.BytesIO()
    data = io.BytesIO(json.dumps(here.conf()).encode())
    assert protocol.serve(here.env("ADD"), data, Gone(), stderr, reached) == 1
    assert b"Broken pipe" in stderr.getvalue()


def test_complaints_are_one_printable_line(here: Here) -> None:
    def complain(call: protocol.Call) -> None:
        call.complain("a\nb\x1b[31m\udcff é")

    served = here.serve("DEL", here.conf(), act=complain)
    assert served.stderr == "eni-ledger: a\\nb\\x1b[31m\\udcff é\n"
