"""Tables: rich on a terminal, aligned plain text in a pipe.

A value is never cut. When a terminal is too narrow, whole columns are left out, the least telling
first, and a line under the table says which.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.render.screen import Screen

GAP = 2


# Plain classes: `dataclasses` takes longer to load than an answer to give.
class Column:
    """One column.

    `drop` ranks it for leaving out on a narrow terminal: the greatest first, 0 never.
    """

    __slots__ = ("drop", "header", "right", "style")

    def __init__(self, header: str, right: bool = False, style: str = "", drop: int = 0) -> None:
        self.header = header
        self.right = right
        self.style = style
        self.drop = drop


class Cell:
    """What stands in one place, one or more lines, safe to print; `style` goes before the column's."""

    __slots__ = ("lines", "style")

    def __init__(self, lines: tuple[str, ...], style: str = "") -> None:
        self.lines = lines
        self.style = style

    @classmethod
    def of(cls, text: str, style: str = "") -> Cell:
        """Return a cell of one line; nothing is shown as a dash, so that no column is ever empty for awk."""
        return cls((text,), style) if text else cls(("-",), "dim")


class Table:
    """Columns and rows; every row has one cell for each column."""

    def __init__(self, columns: list[Column], rows: list[list[Cell]] | None = None) -> None:
        self.columns = columns
        self.rows = rows or []

    def widths(self) -> list[int]:
        """Return the natural width of each column, in characters."""
        return [
            max([len(column.header), *(len(line) for row in self.rows for line in row[at].lines)])
            for at, column in enumerate(self.columns)
        ]

    def fits(self, width: int | None) -> bool:
        """Return whether all columns have room in `width` characters; None is a pipe, and boundless."""
        return width is None or sum(self.widths()) + GAP * (len(self.columns) - 1) <= width

    def without(self, at: int) -> Table:
        """Return the table less one column."""
        return Table(self.columns[:at] + self.columns[at + 1 :], [row[:at] + row[at + 1 :] for row in self.rows])


def fitted(table: Table, width: int | None) -> tuple[Table, list[str]]:
    """Return the table that fits `width`, and the headers of the columns that it lacks."""
    dropped: list[str] = []
    while not table.fits(width):
        at = max(range(len(table.columns)), key=lambda n: table.columns[n].drop)
        if not table.columns[at].drop:
            break
        dropped.append(table.columns[at].header)
        table = table.without(at)
    return table, dropped


def show(table: Table, screen: Screen) -> None:
    """Print the table. Names the columns that had to be left out."""
    table, dropped = fitted(table, screen.width)
    if screen.width is None:
        for line in plain(table):
            screen.line(line)
        return
    _on_terminal(table, screen, screen.width)
    if dropped:
        screen.line(no_room(dropped[::-1], screen))


def no_room(names: list[str], screen: Screen) -> str:
    """Return the line that names the columns which a terminal is too narrow for."""
    return screen.paint(f"({', '.join(names)}: no room in {screen.width} columns)", "dim")


def plain(table: Table) -> list[str]:
    """Return the lines of the table in plain text: blanks between columns, none at the ends of lines."""
    widths = table.widths()
    lines = [_join([column.header for column in table.columns], table.columns, widths)]
    for row in table.rows:
        for at in range(max(len(cell.lines) for cell in row)):
            texts = [cell.lines[at] if at < len(cell.lines) else "" for cell in row]
            lines.append(_join(texts, table.columns, widths))
    return lines


def _join(texts: list[str], columns: list[Column], widths: list[int]) -> str:
    parts = [
        text.rjust(width) if column.right else text.ljust(width)
        for text, column, width in zip(texts, columns, widths, strict=True)
    ]
    return (" " * GAP).join(parts).rstrip()


def _on_terminal(table: Table, screen: Screen, width: int) -> None:
    """Print through rich; it is imported here because it costs more than all the rest of a command."""
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in table.columns:
        drawn.add_column(
            Text(column.header),
            style=column.style,
            justify="right" if column.right else "left",
            overflow="fold",
        )
    for row in table.rows:
        # Text, never str: rich would take [brackets] in a value for markup
        drawn.add_row(*(Text("\n".join(cell.lines), style=cell.style) for cell in row))
    console = Console(
        width=width,
        force_terminal=True,
        color_system="standard" if screen.colour else None,
        highlight=False,
        legacy_windows=False,
    )
    console.print(drawn)
