from typing import Any

import pytest

from eni_ledger.render.events import EventLines
from eni_ledger.render.screen import Screen

ADD: dict[str, Any] = {
    "ts": "2026-11-23T14:00:00.123456Z",
    "event": "add",
    "vlan_id": 101,
    "addresses": ["10.0.32.4/20"],
    "eni_id": "eni-0123456789abcdef0",
    "container_id": "a1" * 32,
    "netns_inode": 4026532281,
    "pid": 1234,
}


def lines_at(width: int | None, *, colour: bool = False) -> EventLines:
    screen = Screen()
    screen.width, screen.colour = width, colour
    return EventLines(screen)


def test_a_wide_line_has_it_all() -> None:
    assert lines_at(120).line(ADD) == (
        "2026-11-23 14:00:00.123 add         101 10.0.32.4       eni-0123456789abcdef0 a1a1a1a1a1a1"
        " netns 4026532281 pid 1234"
    )


def test_a_pipe_gets_one_line_for_each_event_whatever_its_length() -> None:
    failed = {**ADD, "event": "add_failed", "error_code": 11, "error_msg": "no " * 200}
    assert "\n" not in lines_at(None).line(failed)
    assert "pid 1234; error 11: no no" in lines_at(None).line(failed)


def test_the_owner_is_there_at_any_width_and_what_is_not_is_named() -> None:
    for width, left_out in ((70, "(ENI/MAC, NETNS, PID: no"), (80, "(NETNS, PID: no"), (100, "(NETNS, PID: no")):
        assert "a1a1a1a1a1a1" in lines_at(width).line(ADD)
        assert lines_at(width).header().startswith(left_out)
    assert not lines_at(130).header().startswith("(")


def test_without_room_for_the_date_each_day_begins_with_it() -> None:
    lines = lines_at(80)
    assert lines.line(ADD).splitlines()[0] == "2026-11-23"
    assert lines.line(ADD).startswith("14:00:00 add")
    assert lines.line({**ADD, "ts": "2026-11-24T00:00:01.000000Z"}).startswith("2026-11-24\n00:00:01 add")


@pytest.mark.parametrize("width", [66, 74, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    failed = {**ADD, "event": "add_failed", "error_code": 11, "error_msg": "the plugin failed " * 20}
    for event in (ADD, failed, {**ADD, "mismatch": ["branch_mac"], "branch_mac": "0a:00:00:00:00:01"}):
        text = lines_at(width).line(event)
        assert max(map(len, text.split("\n"))) <= width
    assert max(map(len, lines_at(width).header().split("\n"))) <= width


def test_colour_is_on_the_kind_alone() -> None:
    coloured, plain = lines_at(120, colour=True).line(ADD), lines_at(120).line(ADD)
    assert coloured == plain.replace("add       ", "\x1b[32madd       \x1b[0m")


@pytest.mark.parametrize(
    ("event", "want"),
    [
        ({"event": "boot", "boot_id": "b-1"}, "boot b-1"),
        ({"event": "boot", "boot_id": "b-1", "sync": False},
         "boot b-1, not synced: a power cut may have taken events before it"),
        ({"event": "checkpoint", "live": [{}, {}]}, "2 live"),
        ({"event": "identify", "task_arn": "arn:x:task/prod/t1", "task_family": "web"}, "task t1 web"),
        ({"event": "add_failed", "error_code": 7, "error_msg": "bad\nconfig"}, "error 7: bad\\nconfig"),
        ({"event": "lost", "reason": "gc"}, "GC: the runtime does not list it any more"),
        ({"event": "del", "clock_step_us": 1500000}, "the clock had stepped back by 1.500 s"),
        ({**ADD, "mismatch": ["branch_mac"], "branch_mac": "0a:01", "observed_mac": "0a:02"},
         "MAC 0a:01 declared, 0a:02 in the kernel"),
        ({**ADD, "mismatch": ["addresses"]},
         "addresses 10.0.32.4/20 declared, what the kernel showed is not recorded"),
        ({**ADD, "mismatch": ["addresses"], "observed_addresses": []},
         "addresses 10.0.32.4/20 declared, none in the kernel"),
        ({**ADD, "mismatch": ["gateways"], "gateways": ["10.0.32.1"], "observed_gateways": []},
         "gateways 10.0.32.1 declared, none in the kernel"),
        ({**ADD, "mismatch": ["ifname"], "declared_ifname": "net1", "ifname": "eth0"},
         "interface net1 declared, eth0 asked for"),
        ({**ADD, "mismatch": ["declared_mac"], "declared_mac": "0a:01", "observed_mac": "0a:02"},
         "MAC 0a:01 declared, 0a:02 in the kernel"),
        ({**ADD, "mismatch": ["addresses"], "observed_addresses": ["10.9.9.9/24"]},
         "addresses 10.0.32.4/20 declared, 10.9.9.9/24 in the kernel"),
    ],
)  # fmt: skip
def test_each_kind_says_what_is_worth_saying(event: dict[str, Any], want: str) -> None:
    assert lines_at(None).line({"ts": ADD["ts"], **event}).endswith(want)


def test_an_event_of_odd_types_is_still_a_line() -> None:
    odd = {"ts": 5, "event": ["x"], "vlan_id": {"a": 1}, "addresses": "10.0.0.1", "live": 3, "mismatch": "mac"}
    assert "10.0.0.1" in lines_at(80).line(odd)
    assert lines_at(80).line({})
