"""How many branches an instance of a type can have: on ECS and on EKS, from the tables in `limits.json`.

The two differ: ECS counts awsvpc tasks with the trunk and the primary ENI taken off, the controller of EKS keeps some
branches back. Each table names its source and its date; a type that is younger than the table is not in it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from eni_ledger.base.host import read_line

#: On Nitro instances the product name is the instance type (AWS, "Identify EC2 instances"); elsewhere it can be
#: anything.
PRODUCT_NAME = "/sys/class/dmi/id/product_name"
KINDS = ("ecs", "eks")

_TYPE = re.compile(r"[a-z][a-z0-9-]{0,15}\.[a-z0-9-]{1,20}")


def is_instance_type(text: str) -> bool:
    """Return whether `text` has the form of an instance type, ``m5.large``."""
    return _TYPE.fullmatch(text) is not None


def instance_type(path: str = PRODUCT_NAME) -> str | None:
    """Return the type of this instance, None if it is no EC2 instance or the kernel does not show it. No network."""
    text = read_line(path)
    return text if text and is_instance_type(text) else None


def branch_limit(kind: str, name: str | None) -> int | None:
    """Return the most branches that an instance of the type `name` has; 0: it can have no trunk; None: not known.

    `kind` is one of KINDS.
    """
    family, _, size = (name or "").partition(".")
    limit = _tables()[kind]["branches"].get(family, {}).get(size)
    return limit if isinstance(limit, int) else None


def source(kind: str) -> dict[str, str]:
    """Return where the limits of one of KINDS come from: `what` they count, `source` and `url`."""
    table = _tables()[kind]
    return {key: table[key] for key in ("what", "source", "url")}


@cache
def _tables() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(Path(__file__).with_name("limits.json").read_text(encoding="utf-8"))
    return tables
