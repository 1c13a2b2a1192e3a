"""ecs.config: what the agent reads in it, one line set, and everything put back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eni_ledger.install.env_file import assign, boolean, effective, variables, withdraw

KEY = "ECS_CNI_PLUGINS_PATH"
OURS = "/data/eni-ledger/plugins"
LINE = f"{KEY}={OURS}".encode()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", None),
        (b"ECS_CLUSTER=a\n", None),
        (b"ECS_CNI_PLUGINS_PATH=/x\n", "/x"),
        (b"ECS_CNI_PLUGINS_PATH=/x", "/x"),
        (b"  \tECS_CNI_PLUGINS_PATH=/x \r\n", "/x"),
        (b"ECS_CNI_PLUGINS_PATH=/x\nECS_CNI_PLUGINS_PATH=/y\n", "/y"),
        (b"ECS_CNI_PLUGINS_PATH=/x\n#ECS_CNI_PLUGINS_PATH=/y\n", "/x"),
        (b"# ECS_CNI_PLUGINS_PATH=/y\n", None),
        (b"export ECS_CNI_PLUGINS_PATH=/y\n", None),
        (b"ECS_CNI_PLUGINS_PATH =/y\n", None),
        (b"ECS_CNI_PLUGINS_PATH= /y\n", " /y"),
        (b'ECS_CNI_PLUGINS_PATH="/y"\n', '"/y"'),
        (b"ECS_CNI_PLUGINS_PATH=/a=b\n", "/a=b"),
        (b"ECS_CNI_PLUGINS_PATH=\n", ""),
        (b"ECS_CNI_PLUGINS_PATH\n", None),
        (b"X=1\rECS_CNI_PLUGINS_PATH=/y\n", None),
        (b"\xc2\xa0ECS_CNI_PLUGINS_PATH=/x\xc2\x85\n", "/x"),
        (b"\x1cECS_CNI_PLUGINS_PATH=/x\n", None),
        (b"\xef\xbb\xbfECS_CNI_PLUGINS_PATH=/x\n", None),
        (b"ECS_CNI_PLUGINS_PATH=/\xff\n", "/\udcff"),
    ],
)
def test_the_value_is_what_the_agent_takes(data: bytes, value: str | None) -> None:
    assert effective(data, KEY) == value


def test_every_key_has_the_value_that_the_agent_takes() -> None:
    data = b'A=1\n# B=2\nC = 3\n D="4" \r\nA=5\nE\n'
    assert variables(data) == {"A": "5", "# B": "2", "C ": " 3", "D": '"4"'}


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True", " true\t"])
def test_what_the_agent_takes_for_true(text: str) -> None:
    assert boolean(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "FALSE", "False", "\u2003false"])
def test_what_the_agent_takes_for_false(text: str) -> None:
    assert boolean(text) is False


@pytest.mark.parametrize("text", ["", " ", "yes", "on", "tRUE", "2", '"true"', "'1'", "\x1ctrue", "true # comment"])
def test_what_is_no_boolean_for_the_agent(text: str) -> None:
    assert boolean(text) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", LINE + b"\n"),
        (b"A=1\n", b"A=1\n" + LINE + b"\n"),
        (b"A=1", b"A=1\n" + LINE + b"\n"),
        (b"A=1\r\nB=2\r\n", b"A=1\r\nB=2\r\n" + LINE + b"\r\n"),
        (b"A=1\r\nB=2", b"A=1\r\nB=2\r\n" + LINE + b"\r\n"),
        (b"A=1\\\n", b"A=1\\\n\n" + LINE + b"\n"),
        (b"ECS_CNI_PLUGINS_PATH=/x\nA=1\n", LINE + b"\nA=1\n"),
        (b"ECS_CNI_PLUGINS_PATH=/x\r\nA=1\r\n", LINE + b"\r\nA=1\r\n"),
        (b"ECS_CNI_PLUGINS_PATH=/x\nECS_CNI_PLUGINS_PATH=/y", b"ECS_CNI_PLUGINS_PATH=/x\n" + LINE),
        (b"#ECS_CNI_PLUGINS_PATH=/x\n", b"#ECS_CNI_PLUGINS_PATH=/x\n" + LINE + b"\n"),
    ],
)
def test_one_line_is_set_and_the_others_stay(before: bytes, after: bytes) -> None:
    assert assign(before, KEY, OURS)[0] == after


PIECES = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\r",
        b" ",
        b"\\",
        b"#",
        b"=",
        b"A=1",
        KEY.encode(),
        LINE,
        b"/x",
        b"\xff",
        b"\xc2\xa0",
        b"'",
        b"\0",
    ]
)
FILES = st.lists(PIECES, max_size=14).map(b"".join)


@given(FILES)
def test_whatever_is_in_it_the_agent_sees_our_value_and_withdrawing_gives_back_every_byte(data: bytes) -> None:
    if effective(data, KEY) == OURS:
        return
    after, undo = assign(data, KEY, OURS)
    assert effective(after, KEY) == OURS
    assert withdraw(after, KEY, undo) == data


@given(FILES, st.lists(st.sampled_from([b"B=2", b"# c", b"", b"ECS_LOGLEVEL=debug"]), max_size=3))
def test_lines_that_were_added_since_stay_when_ours_goes(data: bytes, more: list[bytes]) -> None:
    if effective(data, KEY) == OURS:
        return
    after, undo = assign(data, KEY, OURS)
    added = b"".join(b"\n" + line for line in more) + b"\n"
    left = withdraw(after + added, KEY, undo)
    assert left.endswith(added[1:])
    assert effective(left, KEY) != OURS


def test_a_value_that_somebody_else_set_since_stays() -> None:
    _, undo = assign(b"A=1\n", KEY, OURS)
    theirs = b"A=1\nECS_CNI_PLUGINS_PATH=/theirs\n"
    assert withdraw(theirs, KEY, undo) == theirs


def test_copies_of_our_line_go_with_it() -> None:
    after, undo = assign(b"A=1\n", KEY, OURS)
    assert withdraw(after + b"B=2\n" + LINE + b"\n", KEY, undo) == b"A=1\nB=2\n"


def test_without_a_record_the_line_goes() -> None:
    assert withdraw(b"A=1\n" + LINE + b"\nB=2\n", KEY, {"value": OURS}) == b"A=1\nB=2\n"
