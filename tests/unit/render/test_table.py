import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.render import table
from eni_ledger.render.screen import Screen
from eni_ledger.render.table import Cell, Column, Table


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
    from eni_ledger.render.text import safe

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
    assert "(NETNS, PID: no room in 20 columns)" in out
    assert "\x1b" not in out


def test_colour_only_when_the_screen_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    styled = Table([Column("A", style="cyan")], [[Cell.of("x")]])
    table.show(styled, on_terminal(Screen(), 80, colour=True))
    assert "\x1b[36m" in capsys.readouterr().out
