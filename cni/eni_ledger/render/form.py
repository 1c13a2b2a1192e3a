"""The form in which an answer is printed, as `-o` and its companions choose it."""

from __future__ import annotations

OUTPUTS = ("table", "wide", "json", "jsonl", "csv", "tsv", "markdown", "yaml", "text")


# A plain class: `dataclasses` takes longer to load than an answer to give.
class Form:
    """How an answer is printed.

    `output` is one of OUTPUTS; `query` a JMESPath expression; `columns` names of fields, None for those of the form;
    `headers` is false for none; `quiet` prints IDs only; `sort` is the name of a field, with `-` before it descending;
    `limit` the most rows; `group_by` the name of a field whose values are counted.
    """

    __slots__ = ("columns", "group_by", "headers", "limit", "output", "query", "quiet", "sort")

    def __init__(
        self,
        output: str = "table",
        *,
        query: str | None = None,
        columns: list[str] | None = None,
        headers: bool = True,
        quiet: bool = False,
        sort: str | None = None,
        limit: int | None = None,
        group_by: str | None = None,
    ) -> None:
        self.output = output
        self.query = query
        self.columns = columns
        self.headers = headers
        self.quiet = quiet
        self.sort = sort
        self.limit = limit
        self.group_by = group_by

    @property
    def plain(self) -> bool:
        """Whether nothing but `table` or `json` was asked for, which needs no library."""
        return self.output in ("table", "json") and not (
            self.query or self.columns or self.quiet or self.sort or self.limit or self.group_by or not self.headers
        )

    @property
    def for_people(self) -> bool:
        """Whether nothing but `table` was asked for: the answer as it is for people, with its notes."""
        return self.output == "table" and self.plain
