"""serve and describe-trunk-interface-associations against real clients: the AWS CLI 1 and 2, boto3, schemathesis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eni_ledger.cli.main import main
from helpers.aws_cli import AwsCli
from helpers.ledgers import add_event, record
from helpers.patience import PATIENCE_S
from helpers.prereq import need
from helpers.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

DESCRIBE = "describe-trunk-interface-associations"
TWO = Path("/usr/bin/aws")
ENVIRONMENT = {
    "PYTHONWARNINGS": "ignore",
    "LC_ALL": "C.UTF-8",
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


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsCli]:
    """Give the AWS CLI 1 of this environment."""
    need(find_spec("awscli"), "the AWS CLI 1, of the Python package awscli")
    with AwsCli(sys.executable, tmp_path_factory.mktemp("one"), ENVIRONMENT) as made:
        yield made


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsCli]:
    """Give the AWS CLI 2 of the distribution, a script for the Python that its first line names."""
    need(os.access(TWO, os.X_OK), f"the AWS CLI 2, {TWO} (package awscli)")
    with TWO.open() as script:
        python = script.readline().removeprefix("#!").strip()
    with AwsCli(python, tmp_path_factory.mktemp("two"), ENVIRONMENT) as made:
        yield made


class Ours:
    """The command, in this process."""

    def __init__(self, state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._state_dir, self._capsys = state_dir, capsys

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [DESCRIBE, "--state-dir", str(self._state_dir), *arguments]
        self._capsys.readouterr()
        status = main(command)
        return subprocess.CompletedProcess(command, status, *self._capsys.readouterr())


@pytest.fixture
def ours(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> Ours:
    return Ours(state_dir, capsys)


def aws(program: AwsCli, server: Serving, *args: str) -> subprocess.CompletedProcess[str]:
    return program.run("ec2", DESCRIBE, *args, "--endpoint-url", server.url)


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
def test_the_bytes_are_those_of_the_aws_cli(
    server: Serving, one: AwsCli, two: AwsCli, ours: Ours, args: list[str], output: str
) -> None:
    said = ours(*args, "--output", output)
    assert said.returncode == 0, said.stderr
    for program in (two,) if output == "yaml" else (one, two):
        original = aws(program, server, *args, "--output", output)
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
def test_exit_statuses_are_those_of_the_aws_cli_2(server: Serving, two: AwsCli, ours: Ours, args: list[str]) -> None:
    original = aws(two, server, *args)
    assert ours(*args).returncode == original.returncode, original.stderr


@pytest.mark.parametrize(("program", "command"), [("one", (sys.executable, "-m", "awscli")), ("two", (str(TWO),))])
@pytest.mark.parametrize("args", [["--max-items", "4", "--output", "table"], ["--nonsense"]], ids=lambda args: args[0])
def test_the_program_by_itself_says_the_same(
    server: Serving, request: pytest.FixtureRequest, program: str, command: tuple[str, ...], args: list[str]
) -> None:
    """What the forked runs are held against is what the program says when it is started as people start it."""
    forked = aws(request.getfixturevalue(program), server, *args)
    alone = subprocess.run(
        [*command, "ec2", DESCRIBE, *args, "--endpoint-url", server.url],
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        timeout=PATIENCE_S,
        check=False,
    )
    assert (forked.returncode, forked.stdout, forked.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_a_token_of_one_goes_on_in_the_other(server: Serving, one: AwsCli, ours: Ours) -> None:
    token = json.loads(ours("--max-items", "4").stdout)["NextToken"]
    args = ["--starting-token", token, "--max-items", "20"]
    original = aws(one, server, *args)
    assert original.returncode == 0, original.stderr
    assert ours(*args).stdout == original.stdout


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
    need(find_spec("awscli"), "the AWS CLI 1, of the Python package awscli")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "awscli",
            "--profile",
            "ledger",
            "ec2",
            DESCRIBE,
            "--query",
            "length(InterfaceAssociations)",
        ],
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
