"""Tables: coloured on a terminal, aligned plain text in a pipe.

A value is never cut and never broken inside a word. When a terminal is too narrow, columns of prose are wrapped at
blanks, then whole columns are left out, the least telling first, and a line under the table says which. Where even the
columns that stay have no room, each row is a block of lines with a header and a value each.
"""

from __future__ import annotations

from eni_ledger.render.text import beside, columns, fold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from eni_ledger.render.screen import Screen

GAP = 2
LONGEST = 40  # of a name in a table on a terminal; a longer one stands below its row


# Plain classes: `dataclasses` takes longer to load than an answer to give.
class Column:
    """One column.

    `drop` ranks it for leaving out on a narrow terminal: the greatest first, 0 never. `prose` may be wrapped at
    blanks. Of a column of `names` what is too long stands below its row on a terminal.
    """

    __slots__ = ("drop", "header", "names", "prose", "right", "style")

    def __init__(
        self,
        header: str,
        right: bool = False,
        style: str = "",
        drop: int = 0,
        *,
        prose: bool = False,
        names: bool = False,
    ) -> None:
        self.header = header
        self.right = right
        self.style = style
        self.drop = drop
        self.prose = prose
        self.names = names


class Cell:
    """What stands in one place, one or more lines, safe to print; `style` goes before the column's.

    `below` stands on a line of its own below the row.
    """

    __slots__ = ("below", "lines", "style")

    def __init__(self, lines: tuple[str, ...], style: str = "", below: str = "") -> None:
        self.lines = lines
        self.style = style
        self.below = below

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
        """Return the natural width of each column."""
        return [
            max([columns(column.header), *(columns(line) for row in self.rows for line in row[at].lines)])
            for at, column in enumerate(self.columns)
        ]

    def least(self) -> list[int]:
        """Return the least width of each column: of prose that of its longest word, of names at most LONGEST."""
        least = self.widths()
        for at, column in enumerate(self.columns):
            texts = [line for row in self.rows for line in row[at].lines]
            if column.prose:
                texts = [word for text in texts for word in text.split()]
            elif column.names:
                texts = [text for text in texts if columns(text) <= LONGEST]
            if column.prose or column.names:
                least[at] = max(columns(text) for text in [column.header, *texts])
        return least

    def fits(self, width: int | None) -> bool:
        """Return whether all columns have room in `width` characters; None is a pipe, and boundless."""
        return width is None or sum(self.least()) + GAP * (len(self.columns) - 1) <= width

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


def show(table: Table, screen: Screen, *, headers: bool | None = None) -> None:
    """Print the table, without its header line if not `headers` (default: as the screen has it).

    Names the columns that had to be left out.
    """
    headers = screen.headers if headers is None else headers
    table, dropped = fitted(table, screen.width)
    if screen.width is not None:
        table = _spilled(table, screen.width)
    if table.fits(screen.width):
        for line in plain(_wrapped(table, screen.width), screen, headers=headers):
            screen.line(line)
    else:
        _show_blocks(table, screen)
    if dropped:
        screen.prose(no_room(dropped[::-1], screen), "dim")


def no_room(names: list[str], screen: Screen) -> str:
    """Return the line that names the columns which a terminal is too narrow for."""
    return f"({', '.join(names)}: no room in {screen.width} columns)"


def plain(table: Table, screen: Screen | None = None, *, headers: bool = True) -> list[str]:
    """Return the lines of the table: blanks between columns, none at the ends of lines; coloured if `screen` is."""
    widths = table.widths()
    head = [_join([column.header for column in table.columns], table, widths, screen, ["bold"] * len(widths))]
    lines = head if headers else []
    in_pipe = _template(table, widths) if screen is not None and screen.width is None else ""
    for row in table.rows:
        if in_pipe and len(words := [line for cell in row for line in cell.lines]) == len(row):
            line = in_pipe % tuple(words)
            if line.isascii():
                lines.append(line.rstrip())
                continue
        styles = [cell.style or column.style for cell, column in zip(row, table.columns, strict=True)]
        for at in range(max((len(cell.lines) for cell in row), default=0)):
            texts = [cell.lines[at] if at < len(cell.lines) else "" for cell in row]
            lines.append(_join(texts, table, widths, screen, styles))
        lines += [f"{' ' * GAP}{cell.below}" for cell in row if cell.below]
    return lines


def _template(table: Table, widths: list[int]) -> str:
    """Return the format of a row without colour in which each character takes one column."""
    return (" " * GAP).join(
        [f"%{'' if column.right else '-'}{width}s" for column, width in zip(table.columns, widths, strict=True)]
    )


def _join(texts: list[str], table: Table, widths: list[int], screen: Screen | None, styles: list[str]) -> str:
    parts = []
    for text, column, width, style in zip(texts, table.columns, widths, styles, strict=True):
        painted = screen.paint(text, style) if screen and style else text
        padding = " " * (width - columns(text))
        parts.append(padding + painted if column.right else painted + padding)
    return (" " * GAP).join(parts).rstrip()


def _spilled(table: Table, width: int) -> Table:
    """Return the table with those names below their rows that have no room, or are longer than LONGEST."""
    least = table.least()
    for at, column in enumerate(table.columns):
        if column.names:
            room = width - GAP * (len(least) - 1) - sum(least[:at]) - sum(least[at + 1 :])
            room = min(max(room, len(column.header)), max(LONGEST, least[at]))
            for row in table.rows:
                if any(columns(line) > room for line in row[at].lines):
                    row[at] = Cell(("",), row[at].style, " ".join(row[at].lines))
    return table


def _wrapped(table: Table, width: int | None) -> Table:
    """Return the table with its prose wrapped so that it fits `width`; it has been found to fit."""
    if width is None:
        return table
    widths = table.widths()
    excess = sum(widths) + GAP * (len(widths) - 1) - width
    if excess <= 0:
        return table
    rows = [list(row) for row in table.rows]
    for at, least in enumerate(table.least()):
        taken = min(excess, widths[at] - least)
        if taken > 0:
            excess -= taken
            for row in rows:
                lines = [part for line in row[at].lines for part in fold(line, widths[at] - taken)]
                row[at] = Cell(tuple(lines), row[at].style)
    return Table(table.columns, rows)


def _show_blocks(table: Table, screen: Screen) -> None:
    """Print a block for each row: the first value beside its header, and so on; rows are apart by an empty line."""
    margin = max((len(column.header) for column in table.columns), default=0) + GAP
    for number, row in enumerate(table.rows):
        if number:
            screen.line()
        for column, cell in zip(table.columns, row, strict=True):
            for at, text in enumerate((cell.below,) if cell.below else cell.lines):
                head = "" if at else column.header
                first, *more = beside(head.ljust(margin), text, screen.width)
                screen.line(screen.paint(head, "dim") + first[len(head) :])
                for line in more:
                    screen.line(line)
