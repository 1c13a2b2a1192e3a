"""`--output yaml` of the AWS CLI 2: block style, keys sorted, and the types of YAML 1.2, where `no` is text."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

import yaml

_TYPES = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "null": r"~|null|Null|NULL|",
    "int": r"[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+",
    "float": r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}"
    r"(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?",
    "merge": "<<",
    "value": "=",
}
"""What plain text is taken for; text of ours that looks so gets quotes. ruamel.yaml's rules, which the AWS CLI uses."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    yaml_implicit_resolvers: ClassVar[dict[str | None, list[Any]]] = {}


for _name, _pattern in _TYPES.items():
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), [None])


def text(value: Any) -> str:
    """Return a JSON value as YAML with a newline at its end; a scalar as JSON."""
    if not isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False) + "\n"
    return str(yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True))
