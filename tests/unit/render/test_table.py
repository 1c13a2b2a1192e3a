import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.render import table
from eni_ledger.render.screen import Screen
from eni_ledger.render.table import Cell, Column, Table
from eni_ledger.render.text import safe


def sample() -> Table:
    return Table(
        [Column("VLAN", right=True), Column("IP"), Column("NETNS", drop=1), Column("PID", drop=2)],
        [
            [Cell.of("101"), Cell(("10.0.0.1", "fd00::1")), Cell.of("4026532281"), Cell.of("77")],
            [Cell.of(""), Cell.of("10.0.0.2"), Cell.of("4026532282"), Cell.of("78")],
        ],
    )


def test_plain_text_is_aligned_without_tabs_or_ends() -> None:
    assert table.plain(sample()) == [
        "VLAN  IP        NETNS       PID",
        " 101  10.0.0.1  4026532281  77",
        "      fd00::1",
        "   -  10.0.0.2  4026532282  78",
    ]


@given(st.lists(st.lists(st.text(max_size=9).map(safe), min_size=4, max_size=4), max_size=6))
def test_a_pipe_gets_the_lines_that_are_put_together_piece_by_piece(texts: list[list[str]]) -> None:
    shown = sample()
    shown.rows += [[Cell(tuple(text.split(" ", 1))) for text in row] for row in texts]
    pipe = Screen()
    pipe.width, pipe.colour = None, False
    assert table.plain(shown, pipe) == table.plain(shown)


def test_a_pipe_gets_every_column() -> None:
    assert table.fitted(sample(), None)[1] == []
    assert len(table.fitted(sample(), None)[0].columns) == 4


def test_a_narrow_terminal_loses_whole_columns_the_least_telling_first() -> None:
    fits, missing = table.fitted(sample(), 30)
    assert [column.header for column in fits.columns] == ["VLAN", "IP", "NETNS"]
    assert missing == ["PID"]
    fits, missing = table.fitted(sample(), 20)
    assert [column.header for column in fits.columns] == ["VLAN", "IP"]
    assert missing == ["PID", "NETNS"]


def test_what_must_not_go_stays_however_narrow_it_is() -> None:
    assert [column.header for column in table.fitted(sample(), 1)[0].columns] == ["VLAN", "IP"]


def on_terminal(screen: Screen, width: int, colour: bool) -> Screen:
    screen.width, screen.colour = width, colour
    return screen


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_value_is_taken_for_markup_or_loses_a_character(value: str) -> None:
    before, sys.stdout = sys.stdout, io.StringIO()
    try:
        table.show(Table([Column("A")], [[Cell((safe(value),))]]), on_terminal(Screen(), 200, colour=False))
        printed = sys.stdout.getvalue()
    finally:
        sys.stdout = before
    assert printed.splitlines()[1].rstrip() == safe(value).rstrip()


def test_the_terminal_table_says_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    table.show(sample(), on_terminal(Screen(), 20, colour=False))
    out = capsys.readouterr().out
    assert "(NETNS, PID: no room\nin 20 columns)" in out
    assert "\x1b" not in out


def test_colour_only_when_the_screen_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    styled = Table([Column("A", style="cyan")], [[Cell.of("x")]])
    table.show(styled, on_terminal(Screen(), 80, colour=True))
    assert "\x1b[36m" in capsys.readouterr().out


FAMILY = "f" * 255


def named(*names: str) -> Table:
    columns = [Column("VLAN", right=True), Column("TASK", names=True), Column("ID", drop=1)]
    return Table(columns, [[Cell.of("101"), Cell.of(name), Cell.of("6a104f20")] for name in names])


def shown(capsys: pytest.CaptureFixture[str], of: Table, width: int) -> list[str]:
    table.show(of, on_terminal(Screen(), width, colour=False))
    return capsys.readouterr().out.splitlines()


def test_one_long_name_takes_no_room_from_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, named("api:17/5f8a2b3d", f"{FAMILY}:1/5f8a2b3d"), 60) == [
        "VLAN  TASK             ID",
        " 101  api:17/5f8a2b3d  6a104f20",
        " 101                   6a104f20",
        f"  {FAMILY}:1/5f8a2b3d",
    ]
    assert table.plain(named(FAMILY))[1].split() == ["101", FAMILY, "6a104f20"]


def test_a_name_without_room_stands_below_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, named("api:17/5f8a2b3d", "payments:117/11aa22bb"), 24)
    assert lines[:4] == ["VLAN  TASK", " 101  api:17/5f8a2b3d", " 101", "  payments:117/11aa22bb"]


def test_rows_without_room_are_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    wide = Table([Column("VLAN"), Column("IP")], [[Cell.of("101"), Cell.of("2600:1f14:abcd:1200:1111:2222:3333:5555")]])
    assert shown(capsys, wide, 40) == ["VLAN  101", "IP", " 2600:1f14:abcd:1200:1111:2222:3333:5555"]


def test_prose_is_wrapped_at_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    said = Table([Column("STATUS"), Column("WHAT", prose=True)], [[Cell.of("gone"), Cell.of("no such namespace")]])
    assert shown(capsys, said, 20) == ["STATUS  WHAT", "gone    no such", "        namespace"]
