"""minijson against `json`: here, and where `json` is not loaded (the C scanner's error path is another one there)."""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.base import minijson
from helpers.ledgers import bare_python

TEXT = st.text(st.characters(codec=None), max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
SPACES = st.text(" \t\r\n", max_size=3)

NOT_JSON = [
    "",
    " ",
    "{",
    "}",
    "[",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{,}",
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{"a" 1}',
    '{"a":1 "b":2}',
    "{a:1}",
    "{'a':1}",
    "{1:2}",
    "{null:1}",
    '"',
    '"\\',
    '"\\"',
    '"\\x41"',
    '"\\u12"',
    '"\\u12G4"',
    '"\\ud800\\u12"',
    '"\\u+123"',
    '"\t"',
    '"\n"',
    '"\0"',
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "[NaN]",
    '{"a":Infinity}',
    "nul",
    "nulll",
    "True",
    "tru",
    "01",
    "-",
    "-01",
    "+1",
    ".5",
    "1.",
    "1.e5",
    "1e",
    "1e+",
    "0x10",
    "1_000",
    "\u0661",
    "// c\n1",
    "1 // c",
    "/* c */ 1",
    "1 1",
    "[] []",
    "{}}",
    "\ufeff{}",
    "\u00a0{}",
    "{}\x0b",
    "undefined",
    "[" * 100_000,
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 100_000,
    "1" * 5000,  # Python reads no integer of that length
]


@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]), SPACES, SPACES)
def test_reads_what_json_writes(value: Any, ascii_only: bool, indent: Any, before: str, after: str) -> None:
    text = before + json.dumps(value, ensure_ascii=ascii_only, indent=indent) + after
    got = minijson.loads(text)
    assert got == value
    assert json.dumps(got) == json.dumps(value)  # 1 == True == 1.0 to Python, not to JSON


@given(VALUES)
def test_json_reads_what_it_writes(value: Any) -> None:
    text = minijson.dumps(value)
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert text == raw or not raw.isprintable()
    assert json.dumps(json.loads(text)) == json.dumps(value)


CONTROL = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]


@pytest.mark.parametrize("around", ["", "é", "\U0001f600", "漢"], ids=ascii)
def test_writes_no_character_that_controls_a_terminal_or_the_direction_of_a_line(around: str) -> None:
    for c in CONTROL:
        for value in (f"{around}{c}{around}", {f"{c}{around}": [c]}):
            text = minijson.dumps(value)
            assert c not in text, ascii(c)
            assert text.isprintable(), ascii(c)
            assert json.loads(text) == minijson.loads(text) == orjson.loads(text) == value
    assert minijson.dumps("\U000e0001\U0001d173\x7f\x85\u202e") == r'"\udb40\udc01\ud834\udd73\u007f\u0085\u202e"'


def test_writes_text_of_all_languages_as_it_is() -> None:
    text = "Grüße, 東京 Ωμέγα שלום 👋🏽 e\u0301"
    assert minijson.dumps(text) == f'"{text}"'


@given(st.text(alphabet='{}[],:"\\u0d8e19.-+ \n\ttrfalsn\u00e9\ud800', max_size=24))
def test_accepts_what_json_accepts_and_nothing_else(text: str) -> None:
    def no_constant(name: str) -> None:
        raise ValueError(name)

    try:
        want = json.loads(text, parse_constant=no_constant)
    except ValueError:
        with pytest.raises(ValueError, match=r".+"):
            minijson.loads(text)
    else:
        assert minijson.loads(text) == want


@pytest.mark.parametrize("text", NOT_JSON, ids=lambda text: repr(text[:20]))
def test_refuses_what_is_not_rfc_8259(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        minijson.loads(text)
    with pytest.raises(ValueError, match=r".+"):
        minijson.members('{"k":' + text + "}")


@pytest.mark.parametrize(
    "data", [b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'\xff\xfe"\x00', b"\xef\xbb\xbf{}", b'"\xf4\x90\x80\x80"']
)
def test_refuses_bytes_that_are_not_utf_8(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        minijson.loads(data)


def test_bytes_are_utf_8() -> None:
    assert minijson.loads('{"ü":"\U0001f600"}'.encode()) == {"ü": "\U0001f600"}


def test_the_last_of_repeated_keys_counts() -> None:
    assert minijson.loads('{"a":1,"b":2,"a":3}') == {"a": 3, "b": 2}


@pytest.mark.parametrize("depth", [1, 100, 400])
def test_ordinary_nesting_goes_both_ways(depth: int) -> None:
    text = '{"a":[' * depth + "1" + "]}" * depth
    assert minijson.dumps(minijson.loads(text)) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan], {"a": {"b": math.inf}}])
def test_writes_no_number_that_json_has_not(value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        minijson.dumps(value)


@pytest.mark.parametrize("value", [b"x", object(), {1, 2}, {"a": [b"x"]}, {b"k": 1}, {(1, 2): 3}])
def test_writes_no_value_without_a_json_form(value: Any) -> None:
    with pytest.raises(TypeError):
        minijson.dumps(value)


def test_what_contains_itself_is_refused() -> None:
    mapping: dict[str, Any] = {}
    mapping["me"] = [mapping]
    with pytest.raises(ValueError, match=r".+"):
        minijson.dumps(mapping)


def test_what_is_nested_too_deeply_to_write_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match=r".+"):
        minijson.dumps(value)
    while value:  # or the interpreter takes it apart by recursion
        value = value.pop()


def test_a_value_refused_leaves_nothing_behind() -> None:
    # The same containers again, mended: the encoder must not remember having been inside them.
    inner: dict[str, Any] = {"a": object()}
    outer = {"inner": [inner]}
    with pytest.raises(TypeError):
        minijson.dumps(outer)
    inner["a"] = 1
    assert minijson.dumps(outer) == '{"inner":[{"a":1}]}'


@given(st.lists(st.tuples(TEXT, VALUES, SPACES, SPACES), max_size=5), SPACES, SPACES)
def test_members_gives_each_value_and_where_it_stands(
    pairs: list[tuple[str, Any, str, str]], before: str, after: str
) -> None:
    text, spans = before + "{" + after, []
    for index, (key, value, left, right) in enumerate(pairs):
        written = json.dumps(value, indent=index % 3)
        text += ("," if index else "") + left + json.dumps(key) + right + ":" + left
        spans.append((key, value, len(text), len(text) + len(written)))
        text += written + right
    text += "}" + before
    assert minijson.members(text) == spans
    assert {key: value for key, value, _, _ in spans} == minijson.loads(text)


def test_members_keeps_repeated_keys() -> None:
    assert minijson.members('{"a":1, "a" : [2]}') == [("a", 1, 5, 6), ("a", [2], 14, 17)]


@pytest.mark.parametrize("text", ["", "[]", "1", '"{}"', "null", "{}{}", "{} x", '{"a":1}}', '{"a":1;}', " {", "{a}"])
def test_members_takes_one_object_only(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        minijson.members(text)


WITHOUT_JSON = r"""
from eni_ledger.base import minijson
with open(sys.argv[1], encoding="utf-8") as file:
    texts = eval(file.read())
bad = []
for text, value in texts["good"]:
    if minijson.loads(text) != value or minijson.dumps(value) != text:
        bad.append((text[:40], "differs"))
for value in (float("nan"), {"a": b"x"}):
    try:
        minijson.dumps(value)
        bad.append((repr(value), "written"))
    except (ValueError, TypeError):
        pass
loaded = [name for name in ("json", "re", "json.decoder") if name in sys.modules]
# Where a text is not JSON, the C code of later versions imports the class of the error by itself, if it can.
for text in texts["bad"]:
    for call, what in ((minijson.loads, text), (minijson.members, '{"k":' + text + "}")):
        try:
            call(what)
        except ValueError:
            continue
        except BaseException as exc:
            bad.append((text[:40], type(exc).__name__))
        else:
            bad.append((text[:40], "accepted"))
print(bad, loaded)
"""


def test_the_same_where_json_is_not_loaded(tmp_path: Any) -> None:
    values: list[Any] = [None, True, 1, -1.5, 'a\n\u00e9\U0001f600"\\', [], {}, [1, [2, {"a": None}]], {"k": [0.1]}]
    good = [(json.dumps(value, ensure_ascii=False, separators=(",", ":")), value) for value in values]
    cases = tmp_path / "cases"
    cases.write_text(repr({"bad": NOT_JSON, "good": good}), encoding="utf-8")
    done = bare_python(WITHOUT_JSON, cases)
    assert (done.stdout, done.stderr) == ("[] []\n", "")
