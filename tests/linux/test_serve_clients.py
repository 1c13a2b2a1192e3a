"""serve and describe-trunk-interface-associations against real clients: the AWS CLI 1 and 2, boto3, schemathesis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from helpers.ledgers import add_event, record
from helpers.patience import PATIENCE_S
from helpers.prereq import need
from helpers.serving import PROGRAM, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DESCRIBE = "describe-trunk-interface-associations"
# By module: the environment of the tests has the packages of another, and not its programs.
ONE, TWO = (sys.executable, "-m", "awscli"), ("/usr/bin/aws",)
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "AWS_PAGER": "",
}
TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/3f9a1c20de414f0a8a1b2c3d4e5f6071"
ODD = 'caf\u00e9 <b>&\u202e\' "x": y #z ' + "long words " * 12


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clients") / "state"
    for n in range(1, 13):
        known = {"task_arn": TASK, "task_family": "api", "task_revision": "17", "service": "no"} if n % 3 else {}
        record(path, add_event(n, eni_id=None if n == 4 else f"eni-{n:017x}", **known))
    record(path, add_event(13, task_family=ODD, trunk_eni_id="eni-0fedcba9876543210"))
    record(path, add_event(14, vlan_id=None, protocol="default"))
    return path


@pytest.fixture(scope="module")
def server(state_dir: Path) -> Iterator[Serving]:
    with serving(state_dir) as server:
        yield server


def need_aws(program: tuple[str, ...]) -> None:
    there = find_spec("awscli") is not None if program is ONE else os.access(program[0], os.X_OK)
    need(there, f"the AWS CLI, {' '.join(program)}")


def aws(program: tuple[str, ...], server: Serving, *args: str) -> subprocess.CompletedProcess[str]:
    need_aws(program)
    path = {"PYTHONWARNINGS": "ignore", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [*program, "ec2", *args, "--endpoint-url", server.url],
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT, **path},
        timeout=PATIENCE_S,
        check=False,
    )


def ours(state_dir: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, DESCRIBE, "--state-dir", str(state_dir), *args], capture_output=True, text=True, check=False
    )


FORMS = [
    [],
    ["--filters", "Name=vlan-id,Values=3,4", "Name=interface-protocol,Values=VL?N"],
    ["--filters", "Name=tag:eni-ledger:task-family,Values=api", "--query", "InterfaceAssociations[].VlanId"],
    ["--filters", "Name=branch-interface-id,Values=nothing"],
    ["--query", "InterfaceAssociations[?VlanId>`10`].[AssociationId,VlanId,Tags[0].Value]"],
    ["--query", "InterfaceAssociations[0]"],
    ["--query", "length(InterfaceAssociations)"],
    ["--query", "nothing"],
    ["--max-items", "4"],
    ["--max-items", "5", "--page-size", "5"],
    ["--page-size", "5", "--query", "InterfaceAssociations[0].VlanId"],
]


@pytest.mark.parametrize("args", FORMS, ids=lambda args: " ".join(args)[:60] or "everything")
@pytest.mark.parametrize("output", ["json", "text", "table", "yaml"])
def test_the_bytes_are_those_of_the_aws_cli(server: Serving, state_dir: Path, args: list[str], output: str) -> None:
    said = ours(state_dir, *args, "--output", output)
    assert said.returncode == 0, said.stderr
    for program in (TWO,) if output == "yaml" else (ONE, TWO):
        original = aws(program, server, DESCRIBE, *args, "--output", output)
        assert original.returncode == 0, original.stderr
        assert said.stdout == original.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["--nonsense"],
        ["--output", "xml"],
        ["--page-size", "2"],
        ["--filters", "Nme=vlan-id,Values=1"],
        ["--filters", "Name=nonsense,Values=1"],
        ["--association-ids", "assoc-00000000000000000"],
        ["--starting-token", "nonsense"],
        ["--query", "["],
    ],
    ids=" ".join,
)
def test_exit_statuses_are_those_of_the_aws_cli_2(server: Serving, state_dir: Path, args: list[str]) -> None:
    original = aws(TWO, server, DESCRIBE, *args)
    assert ours(state_dir, *args).returncode == original.returncode, original.stderr


def test_a_token_of_one_goes_on_in_the_other(server: Serving, state_dir: Path) -> None:
    token = json.loads(ours(state_dir, "--max-items", "4").stdout)["NextToken"]
    args = ["--starting-token", token, "--max-items", "20"]
    original = aws(ONE, server, DESCRIBE, *args)
    assert original.returncode == 0, original.stderr
    assert ours(state_dir, *args).stdout == original.stdout


def test_boto3_pages_and_filters(server: Serving) -> None:
    boto3 = pytest.importorskip("boto3")
    client = boto3.client(
        "ec2", "eu-central-1", endpoint_url=server.url, aws_access_key_id="any", aws_secret_access_key="any"
    )
    pages = list(
        client.get_paginator("describe_trunk_interface_associations").paginate(PaginationConfig={"PageSize": 5})
    )
    assert [len(page["InterfaceAssociations"]) for page in pages] == [5, 5, 3]
    mac = [{"Name": "mac-address", "Values": ["0a:ff:00:00:00:05"]}]
    (interface,) = client.describe_network_interfaces(Filters=mac)["NetworkInterfaces"]
    assert (interface["InterfaceType"], interface["Status"]) == ("branch", "in-use")
    assert interface["PrivateIpAddresses"] == [{"Primary": True, "PrivateIpAddress": "10.0.0.5"}]
    with pytest.raises(client.exceptions.ClientError, match="InvalidAction"):
        client.describe_vpcs()


def test_a_profile_with_a_services_section(server: Serving, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile ledger]\nservices = ledger\nregion = eu-central-1\naws_access_key_id = any\n"
        f"aws_secret_access_key = any\n[services ledger]\nec2 =\n  endpoint_url = {server.url}\n"
    )
    need_aws(ONE)
    done = subprocess.run(
        [*ONE, "--profile", "ledger", "ec2", DESCRIBE, "--query", "length(InterfaceAssociations)"],
        capture_output=True,
        text=True,
        env={**os.environ, "AWS_CONFIG_FILE": str(config), "AWS_MAX_ATTEMPTS": "1"},
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "13\n"), done.stderr


def test_schemathesis_finds_nothing(server: Serving, tmp_path: Path) -> None:
    need(find_spec("schemathesis"), "schemathesis")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{server.url}/openapi.json",
            "--max-examples",
            "30",
            "--seed",
            "1",
            "--no-color",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
