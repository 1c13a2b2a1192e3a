"""The tables of limits, and the instance type that DMI shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eni_ledger.desk.topology import limits

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "ecs", "eks"),
    [
        ("c5.large", 10, 9),
        ("m5.16xlarge", 120, 107),
        ("m6g.medium", 4, 4),
        ("t3.large", None, 0),
        ("u-6tb1.56xlarge", 12, 0),
    ],
)
def test_ecs_and_eks_have_limits_of_their_own(name: str, ecs: int | None, eks: int) -> None:
    assert (limits.branch_limit("ecs", name), limits.branch_limit("eks", name)) == (ecs, eks)


@pytest.mark.parametrize("name", [None, "", "z99.large", "m5.9000xlarge", "m5", "m5.large.large", ".", "branches"])
def test_an_unknown_type_is_not_known(name: str | None) -> None:
    assert limits.branch_limit("ecs", name) is None
    assert limits.branch_limit("eks", name) is None


@pytest.mark.parametrize("kind", limits.KINDS)
def test_each_table_names_its_public_source(kind: str) -> None:
    about = limits.source(kind)
    assert about["url"].startswith("https://")
    assert about["source"]
    assert about["what"]


@pytest.mark.parametrize(
    ("shown", "known"),
    [
        ("m5.large\n", "m5.large"),
        ("u-6tb1.56xlarge", "u-6tb1.56xlarge"),
        ("m7i-flex.large", "m7i-flex.large"),
        ("m5.metal-24xl", "m5.metal-24xl"),
        ("Standard PC (Q35 + ICH9, 2009)", None),
        ("", None),
        ("m5.large\nx", None),
        ("\xff", None),
    ],
)
def test_the_type_is_dmis_product_name_where_that_is_one(tmp_path: Path, shown: str, known: str | None) -> None:
    path = tmp_path / "product_name"
    path.write_text(shown, encoding="latin-1")
    assert limits.instance_type(str(path)) == known


def test_without_dmi_the_type_is_not_known(tmp_path: Path) -> None:
    assert limits.instance_type(str(tmp_path / "nothing")) is None
