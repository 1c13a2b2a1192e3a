"""ADD's result: prevResult in the configuration's version and else to the byte as it came."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING

import pytest

from helpers.plugin import VERSIONS, result

if TYPE_CHECKING:
    from .conftest import Here

FAMILIES = (("0.1.0", "0.2.0"), ("0.3.0", "0.3.1", "0.4.0"), ("1.0.0", "1.1.0"))


def conf_with(here: Here, prev_text: str, version: str = "1.0.0") -> bytes:
    conf = json.dumps(here.conf(version))
    return f'{conf[:-1]}, "prevResult" : {prev_text} , "x":1}}'.encode()


@pytest.mark.parametrize("version", VERSIONS)
def test_same_version_is_passed_on(here: Here, version: str) -> None:
    prev = result(version)
    served = here.serve("ADD", here.conf(version, prev))
    assert served.status == 0, served.stdout
    assert json.loads(served.stdout) == prev
    assert len(here.events("add")) == 1
    assert here.events("add")[0]["cni_version"] == version


@pytest.mark.parametrize(
    "text",
    [
        '{"cniVersion":"1.0.0"}',
        '{ "cniVersion" :\t"1.0.0",\n "ips":[ ] , "unknown":{"b":1,"a":[1.0,1e3,-0,100000000000000000000]} }',
        '{"cniVersion":"1.0.0","é":"\\u00e9 \\ud800 \\/ \U0001f600","a":1,"a":2}',
        '{"cni\\u0056ersion":"1.0.0","dns":{}}',
        '{"interfaces":null,"cniVersion":"1.0.0","ips":null}',
    ],
)
def test_byte_for_byte(here: Here, text: str) -> None:
    served = here.serve("ADD", conf_with(here, text))
    assert (served.status, served.stdout) == (0, text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", '{"cniVersion":"1.0.0"}'),
        ("{ \n}", '{"cniVersion":"1.0.0" \n}'),
        ('{ "ips" : [ ] }', '{"cniVersion":"1.0.0", "ips" : [ ] }'),
        ('{"ips":[],"cniVersion":""}', '{"ips":[],"cniVersion":"1.0.0"}'),
        ('{"cniVersion": null , "ips":[]}', '{"cniVersion": "1.0.0" , "ips":[]}'),
        ('{"dns":{"cniVersion":"x"}}', '{"cniVersion":"1.0.0","dns":{"cniVersion":"x"}}'),
        ('{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","mtu":9001}]}',
         '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","mtu":9001}]}'),
    ],
)  # fmt: skip
def test_only_the_version_is_changed(here: Here, text: str, expected: str) -> None:
    served = here.serve("ADD", conf_with(here, text))
    assert (served.status, served.stdout.decode()) == (0, expected)


@pytest.mark.parametrize(("version", "other"), [pair for family in FAMILIES for pair in product(family, family)])
def test_other_version_of_the_same_family(here: Here, version: str, other: str) -> None:
    prev = result(other)
    served = here.serve("ADD", here.conf(version, prev))
    assert served.status == 0
    assert json.loads(served.stdout) == prev | {"cniVersion": version}


@pytest.mark.parametrize(
    ("version", "other"),
    [pair for a, b in product(FAMILIES, FAMILIES) if a != b for pair in product(a, b)]
    + [("1.0.0", "9.9"), ("1.0.0", "x")],
)
def test_another_family_is_refused(here: Here, version: str, other: str) -> None:
    served = here.serve("ADD", here.conf(version, {"cniVersion": other}))
    assert (served.status, served.error["code"]) == (1, 1)
    assert other in served.error["details"]
    assert version in served.error["details"]
    assert here.events() == []


@pytest.mark.parametrize("text", ["null", "7", '"x"', "[]", "true", "0", "false", '""'])
def test_prev_result_that_is_none(here: Here, text: str) -> None:
    served = here.serve("ADD", conf_with(here, text))
    assert (served.status, served.error["code"]) == (1, 7)
    assert "prevResult" in served.error["msg"]
    assert here.events() == []


@pytest.mark.parametrize("version", ["1", "[]", "0", "false"])
def test_prev_result_with_a_version_that_is_no_string(here: Here, version: str) -> None:
    served = here.serve("ADD", conf_with(here, f'{{"cniVersion":{version}}}'))
    assert (served.status, served.error["code"]) == (1, 7)


def test_without_prev_result_there_is_a_hint(here: Here) -> None:
    served = here.serve("ADD", here.conf("1.0.0"))
    assert (served.status, served.error["code"]) == (1, 7)
    assert "after the plugin that makes the interface" in served.error["details"]
