"""Answers for programs and documents: csv, tsv, Markdown, YAML, and text as the AWS CLI prints it.

Control characters are escaped in all of them. In csv and tsv a text that a spreadsheet would take for a formula, one
that begins with ``=``, ``+``, ``-`` or ``@``, has an apostrophe before it; numbers have not.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

from eni_ledger.render.fields import NUMBERS
from eni_ledger.render.screen import one_line
from eni_ledger.render.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import tzinfo

    from eni_ledger.render.fields import Field
    from eni_ledger.render.screen import Screen

    Row = dict[str, Any]

_FORMULA = ("=", "+", "-", "@")
_MARKDOWN = re.compile(r"([\\|`*<\[\]])")
_YAML_12_NUMBER = re.compile(
    r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


def machine_text(value: Any) -> str:
    """Return a value for one place of csv or tsv: nothing for None, a list of words with blanks, else JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        text = safe(value)
        return f"'{text}" if text.startswith(_FORMULA) else text
    if isinstance(value, list) and all(isinstance(each, str | int) and not isinstance(each, bool) for each in value):
        words = [safe(each) for each in value]
        if all(words) and not any(" " in word for word in words):
            return machine_text(" ".join(words)) if words else ""
    return one_line(value)


class _Lines:
    """A file for the csv module that prints each line on a screen."""

    def __init__(self, screen: Screen) -> None:
        self.write = screen.write


def write_csv(screen: Screen, fields: Sequence[Field], rows: Iterable[Row], *, headers: bool = True) -> None:
    """Print comma-separated values (RFC 4180: lines end with CR LF)."""
    writer = csv.writer(_Lines(screen), lineterminator="\r\n")
    if headers:
        writer.writerow([machine_text(field.name) for field in fields])
    writer.writerows([machine_text(field.value(row)) for field in fields] for row in rows)


def write_tsv(screen: Screen, fields: Sequence[Field], rows: Iterable[Row], *, headers: bool = True) -> None:
    """Print tab-separated values; a tab within a value is an escape."""
    if headers:
        screen.line("\t".join(machine_text(field.name) for field in fields))
    for row in rows:
        screen.line("\t".join(machine_text(field.value(row)) for field in fields))


def write_markdown(
    screen: Screen, fields: Sequence[Field], rows: Iterable[Row], zone: tzinfo, *, headers: bool = True
) -> None:
    """Print a table of GitHub Flavored Markdown; without headers its rows only."""
    if headers:
        screen.line(_markdown(field.head(zone) for field in fields))
        screen.line("|" + "|".join(" ---: " if field.name in NUMBERS else " --- " for field in fields) + "|")
    for row in rows:
        screen.line(_markdown(field.text(row, zone) for field in fields))


def _markdown(texts: Iterable[str]) -> str:
    return "| " + " | ".join(_MARKDOWN.sub(r"\\\1", text) for text in texts) + " |"


def yaml_parts(document: Row, key: str | None, rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of a document in YAML, the `rows` of its list `key` one by one."""
    for name, value in document.items():
        if name != key:
            yield yaml_text({name: value})
            continue
        empty = True
        for row in rows:
            yield (f"{yaml_text(name).rstrip().removesuffix('...').rstrip()}:\n" if empty else "") + yaml_text([row])
            empty = False
        if empty:
            yield yaml_text({name: []})


def yaml_text(value: Any) -> str:
    """Return a value in YAML, in ASCII; a text that YAML 1.1 or 1.2 takes for something else is quoted."""
    import yaml  # only for -o yaml

    global _dumper
    if _dumper is None:
        base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

        class Dumper(base):  # type: ignore[misc]  # PyYAML has no types
            """Quotes numbers of YAML 1.2 too, and repeats values in place of anchors."""

            def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
                return True

        Dumper.add_representer(str, _yaml_str)
        _dumper = Dumper
    text: str = yaml.dump(value, Dumper=_dumper, sort_keys=False, width=10**9, default_flow_style=False)
    return text.removesuffix("...\n")


_dumper: Any = None


def _yaml_str(dumper: Any, value: str) -> Any:
    if not value.isascii():
        value = value.encode("utf-8", "backslashreplace").decode()  # lone surrogates
    style = '"' if _YAML_12_NUMBER.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def aws_text(value: Any, kind: str = "", keys: Sequence[str] | None = None) -> Iterator[str]:
    """Yield lines as `aws --output text` prints them: a line for each object, its values by key, apart by tabs.

    The lines of a list begin with its name in capitals. Nested lists and objects follow the line of their object.
    """
    if isinstance(value, dict):
        plain = (
            sorted(key for key, each in value.items() if not isinstance(each, dict | list)) if keys is None else keys
        )
        texts = [_aws_scalar(value.get(key, "")) for key in plain]
        if texts:
            yield "\t".join([kind.upper(), *texts] if kind else texts)
        for key in sorted(value.keys() - set(plain)):
            yield from aws_text(value[key], safe(key))
    elif isinstance(value, list):
        yield from _aws_list(value, kind)
    else:
        yield _aws_scalar(value)


def _aws_list(values: list[Any], kind: str) -> Iterator[str]:
    objects = [value for value in values if isinstance(value, dict)]
    if objects:
        keys = {key for each in objects for key, inner in each.items() if not isinstance(inner, dict | list)}
        nested = {key for each in objects for key, inner in each.items() if isinstance(inner, dict | list)}
        for value in values:
            yield from aws_text(value, kind, sorted(keys - nested) if isinstance(value, dict) else None)
        return
    scalars = [_aws_scalar(value) for value in values if not isinstance(value, list)]
    if scalars and kind:
        yield from (f"{kind.upper()}\t{scalar}" for scalar in scalars)
    elif scalars:
        yield "\t".join(scalars)
    for value in values:
        if isinstance(value, list):
            yield from aws_text(value, kind)


def _aws_scalar(value: Any) -> str:
    return str(value) if value is None or isinstance(value, bool) else safe(value)
