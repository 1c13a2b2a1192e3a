import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.render.screen import Screen, error_lines, one_line


@given(st.recursive(st.text() | st.integers() | st.none() | st.booleans(), lambda x: st.lists(x), max_leaves=8))
def test_json_on_one_line_is_the_value_and_cannot_steer_a_terminal(value: object) -> None:
    text = one_line(value)
    assert text.isprintable()
    assert json.loads(text) == value


def test_json_keeps_a_lone_surrogate_and_what_is_beyond_the_first_plane() -> None:
    text = one_line("\ud800 \U000e0001 \x9b \u202e")
    assert text == '"\\ud800 \\udb40\\udc01 \\u009b \\u202e"'


def test_a_document_has_one_member_of_a_list_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().json_document({"at": "now", "associations": [{"a": 1}, {"b": 2}], "none": []})
    out = capsys.readouterr().out
    assert out == '{"at":"now",\n"associations":[\n{"a":1},\n{"b":2}\n],\n"none":[]}\n'
    assert json.loads(out) == {"at": "now", "associations": [{"a": 1}, {"b": 2}], "none": []}


def test_an_error_is_two_lines_at_most() -> None:
    assert error_lines("it broke", "mend it", colour=False) == ["error: it broke", "try: mend it"]
    assert error_lines("it broke", "", colour=False) == ["error: it broke"]
    assert error_lines("it broke", "", colour=True) == ["\x1b[1;31merror:\x1b[0m it broke"]
