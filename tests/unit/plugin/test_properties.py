"""Whatever a runtime hands us: exit status 0 or 1, one JSON document or nothing, never a traceback."""

from __future__ import annotations

import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.plugin import chained, protocol
from helpers.plugin import VERSIONS

COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")


def variable(*likely: str) -> st.SearchStrategy[str]:
    """Return what can be in an environment: any bytes but NUL, often something that makes sense."""
    anything = st.binary(max_size=30).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
    return st.sampled_from(likely) | anything


ENVIRONMENT = st.fixed_dictionaries(
    {},
    optional={
        "CNI_COMMAND": variable(*COMMANDS),
        "CNI_CONTAINERID": variable("c0ffee", "c0ffee\n"),
        "CNI_NETNS": variable("/proc/self/ns/net", "/nonexistent", "none"),
        "CNI_IFNAME": variable("lo", "eth0"),
        "CNI_NETNS_OVERRIDE": variable("1", "true"),
        "CNI_PATH": variable("/opt/cni/bin"),
        "CNI_ARGS": variable("IgnoreUnknown=1"),
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CONF = st.fixed_dictionaries(
    {"journald": st.just(False)},
    optional={
        "cniVersion": st.sampled_from(VERSIONS) | JSON,
        "name": st.just("n") | JSON,
        "prevResult": st.fixed_dictionaries(
            {}, optional={"cniVersion": st.sampled_from(VERSIONS), "ips": JSON, "interfaces": JSON}
        )
        | JSON,
        "onError": st.sampled_from(["warn", "fail"]) | JSON,
        "sync": st.booleans() | JSON,
        "cni.dev/valid-attachments": JSON,
        "x": JSON,
    },
)


def check(env: dict[str, str], data: bytes) -> None:
    stdout, stderr = io.BytesIO(), io.BytesIO()
    status = protocol.serve(env, io.BytesIO(data), stdout, stderr, chained.run)
    assert status in (0, 1)
    assert b"Traceback" not in stderr.getvalue()
    assert all(line.startswith(b"eni-ledger: ") for line in stderr.getvalue().splitlines())
    if status == 1:
        error = json.loads(stdout.getvalue())
        assert error["cniVersion"] in VERSIONS
        assert error["code"] in (1, 3, 4, 6, 7, 8, 50, 110, 111, 112), error
        assert error["msg"]
    elif stdout.getvalue():
        assert json.loads(stdout.getvalue())["cniVersion"] in VERSIONS


@given(ENVIRONMENT, CONF)
def test_any_configuration(env: dict[str, str], conf: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        check(env, json.dumps({"stateDir": str(Path(directory, "state")), **conf}).encode("utf-8", "surrogatepass"))


@given(ENVIRONMENT, st.binary(max_size=200))
def test_any_bytes(env: dict[str, str], data: bytes) -> None:
    check(env, data)


@given(st.sampled_from(COMMANDS), st.data())
def test_a_configuration_that_is_cut_or_flipped(command: str, data: st.DataObject) -> None:
    env = {"CNI_COMMAND": command, "CNI_CONTAINERID": "c", "CNI_NETNS": "/proc/self/ns/net", "CNI_IFNAME": "lo"}
    with tempfile.TemporaryDirectory() as directory:
        # The directory is given by the environment: a flipped bit in a path would be another directory.
        env["ENI_LEDGER_STATE_DIR"] = str(Path(directory, "state"))
        conf = {"cniVersion": "1.1.0", "name": "n", "journald": False, "prevResult": {"cniVersion": "1.1.0", "ips": []}}
        whole = bytearray(json.dumps(conf).encode())
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] ^= data.draw(st.integers(0, 255))
        check(env, bytes(whole[: data.draw(st.integers(0, len(whole)))]))
