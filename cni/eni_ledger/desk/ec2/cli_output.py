"""What the AWS CLI prints of an answer: `--output`, `--query`, pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from eni_ledger.base.errors import UsageError
from eni_ledger.desk.ec2 import cli_table, cli_text
from eni_ledger.desk.ec2.pages import Pages

OUTPUTS = ("json", "text", "table", "yaml")
Select = Callable[[Any], Any]


def selection(expression: str | None) -> Select | None:
    """Return what the JMESPath `expression` selects of a value; None for none. Raises UsageError."""
    if expression is None:
        return None
    import jmespath  # only for --query
    from jmespath.exceptions import JMESPathError

    try:
        compiled = jmespath.compile(expression)
    except (JMESPathError, ValueError, RecursionError) as exc:
        raise UsageError("Bad value for --query", " ".join(str(exc).split())) from exc

    def select(value: Any) -> Any:
        try:
            return compiled.search(value)
        except (JMESPathError, ValueError, TypeError, RecursionError) as exc:
            raise UsageError("--query does not fit the answer", " ".join(str(exc).split())) from exc

    return select


def printed(
    pages: Pages,
    item_of: Callable[[Any], dict[str, Any]],
    *,
    operation: str,
    result: str,
    output: str,
    select: Select | None,
    width: int,
) -> Iterator[str]:
    """Yield the text of an answer: `pages` of records, each as `item_of` has it, under the key `result`.

    `output` is one of OUTPUTS, `width` the screen's for a table. Text is selected and printed page by page. Raises
    Refused and UsageError, in text after the pages before.
    """
    each = ({result: [item_of(one) for one in page]} for page in pages)
    chosen: Select = select or (lambda value: value)
    if output == "text":
        for page in each:
            yield from _ended(cli_text.lines(chosen(page)))
        if pages.resume_token:
            yield from _ended(cli_text.lines(chosen({"NextToken": {"NextToken": pages.resume_token}})))
        return
    whole: dict[str, Any] = {result: [item for page in each for item in page[result]]}
    if pages.resume_token:
        whole["NextToken"] = pages.resume_token
    value = chosen(whole)
    if output == "table":
        yield from _ended(cli_table.lines(operation, value, width))
    elif value == {}:
        return
    elif output == "yaml":
        from eni_ledger.desk.ec2 import cli_yaml  # PyYAML

        yield cli_yaml.text(value)
    else:
        yield json.dumps(value, indent=4, ensure_ascii=False) + "\n"


def _ended(lines: Iterable[str]) -> Iterator[str]:
    return (line + "\n" for line in lines)
