"""The time zone of a question: how its times are read and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unit.cli.conftest import Clock, Ledger, Run

BEGIN, END = "2026-10-25T00:30:00.000000Z", "2026-10-25T01:30:00.000000Z"
"""02:30 in Berlin, twice: the clock is set back from 03:00 CEST to 02:00 CET in between."""


@pytest.fixture
def past(ledger: Ledger, clock: Clock) -> Ledger:
    """Give 10.0.32.4 an owner from BEGIN to END."""
    clock(BEGIN)
    ledger.add(0xA1, 101, "10.0.32.4/20")
    clock(END)
    ledger.delete(0xA1)
    ledger.add(0xA2, 102, "10.0.32.5/20")
    return ledger


BERLIN = ("--tz", "Europe/Berlin")


def test_who_shows_times_in_the_zone(past: Ledger, run: Run) -> None:
    head, row = run("who", "10.0.32.4", "--tz", "Asia/Kolkata").out.splitlines()
    assert "FROM (Asia/Kolkata)" in head
    assert "2026-10-25 06:00:00" in row
    assert "2026-10-25 07:00:00" in row


def test_a_time_that_the_zones_clock_shows_twice_has_the_zone_behind_it(past: Ledger, run: Run) -> None:
    row = run("who", "10.0.32.4", *BERLIN).out.splitlines()[1]
    assert "2026-10-25 02:30:00 CEST" in row
    assert "2026-10-25 02:30:00 CET" in row
    assert "2026-10-25 02:30:00.000 CET add" in run("log", *BERLIN).out
    card = run("show", run("who", "101", "--json").json()["associations"][0]["association_id"], *BERLIN).out
    assert "2026-10-25 02:30:00 CEST to 02:30:00 CET (1h)" in card


def test_log_and_card_name_the_zone(past: Ledger, run: Run) -> None:
    assert run("log", "--tz", "CET").out.startswith("TIME (CET)")
    assert "2026-10-25 01:30:00.000" in run("log", "--tz", "CET").out
    card = run("show", run("who", "102", "--json").json()["associations"][0]["association_id"], "--tz", "+05:30").out
    assert "live since 2026-10-25 07:00:00 +05:30 (" in card


def test_a_time_without_a_zone_is_in_the_zone(past: Ledger, run: Run) -> None:
    done = run("who", "10.0.32.4", "--at", "2026-10-25 06:15", "--tz", "Asia/Kolkata")
    assert done.out.startswith("10.0.32.4 at 2026-10-25 06:15:00 IST (Sunday, ")
    assert run("who", "10.0.32.4", "--at", "2026-10-25 06:15").code == 1
    assert run("who", "10.0.32.4", "--at", "2026-10-25 06:15 Asia/Kolkata").code == 0
    assert len(run("log", "--json", "--since", "2026-10-25 02:45 CET", *BERLIN).out) == 0
    assert len(run("log", "--json", "--since", "2026-10-25 02:10 CET", *BERLIN).json_lines()) == 2


def test_the_variable_counts_without_the_option(past: Ledger, run: Run) -> None:
    env = {"ENI_LEDGER_TZ": "Asia/Kolkata"}
    assert "FROM (Asia/Kolkata)" in run("who", "10.0.32.4", env=env).out
    assert "FROM (UTC)" in run("who", "10.0.32.4", "--tz", "UTC", env=env).out
    assert "FROM (UTC)" in run("who", "10.0.32.4", env={"ENI_LEDGER_TZ": ""}).out
    assert "FROM (Europe/Berlin)" in run(*BERLIN, "who", "10.0.32.4", env=env).out


def test_local_is_the_zone_of_the_host(past: Ledger, run: Run) -> None:
    assert "2026-10-25 06:00:00" in run("who", "10.0.32.4", "--tz", "local", env={"TZ": "Asia/Kolkata"}).out


@pytest.mark.parametrize("args", [["who", "101", "--at", "2026-10-25 06:15"], ["log"], ["show", "assoc"]])
def test_json_is_in_utc(past: Ledger, run: Run, args: list[str]) -> None:
    ids = [one["association_id"] for one in run("who", "101", "--json").json()["associations"]]
    asked = [ids[0] if arg == "assoc" else arg for arg in args]
    done = run(*asked, "--json", "--tz", "Asia/Kolkata")
    assert (BEGIN in done.out, done.code) == (True, 0)
    assert "+05:30" not in done.out


def test_messages_are_in_the_zone(past: Ledger, run: Run) -> None:
    zone = ("--tz", "Asia/Kolkata")
    words = "nothing is known of 2026-10-25 05:00:00 IST: the ledger begins at 2026-10-25 06:00:00 IST"
    assert words in run("who", "101", "--at", "2026-10-25 05:00", *zone).err
    assert words in run("list", "--at", "2026-10-25 05:00", *zone).err
    assert words in run("log", "--until", "2026-10-25 05:00", *zone).err
    assert "nobody had it at 2026-10-25 07:00:01 IST" in run("who", "101", "--at", "2026-10-25 07:00:01", *zone).err
    assert "since 2026-10-25 06:00:00 IST, when the ledger begins" in run("who", "10.9.9.9", *zone).err
    assert "no events: from 2026-10-25 07:30:00 IST" in run("log", "--since", "2026-10-25 07:30", *zone).err
    done = run("who", "101", "--at", "2126-10-25 05:00", *zone)
    assert "--at is in the future: 2126-10-25 05:00:00 IST\n" in done.err
    assert done.err.endswith("IST now; no zone means Asia/Kolkata\n")


@pytest.mark.parametrize("args", [["list"], ["who", "101"], ["log"], ["show", "0"], ["fsck"]])
@pytest.mark.parametrize(
    ("zone", "why"),
    [
        ("Europe/Berlinn", "no time zone is called Europe/Berlinn; did you mean Europe/Berlin?"),
        ("CST", "CST is the time of several zones: America/Chicago (-06:00), "),
        ("IST", "IST is the time of several zones: Europe/Dublin (+01:00), Asia/Jerusalem (+02:00), Asia/Kolkata"),
        ("\x1b[31m", "no time zone is called \\x1b[31m"),
    ],
)
def test_a_zone_that_is_none_or_several(past: Ledger, run: Run, args: list[str], zone: str, why: str) -> None:
    done = run(*args, "--tz", zone)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: --tz is not a time zone: {why}")
    assert "try: UTC, local, a distance such as +01:00, or a name such as Europe/Berlin" in done.err
    done = run(*args, env={"ENI_LEDGER_TZ": zone})
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: ENI_LEDGER_TZ is not a time zone: {why}")


def test_the_option_twice_is_refused(past: Ledger, run: Run) -> None:
    done = run(*BERLIN, "list", "--tz", "UTC")
    assert (done.code, "this option is given twice: --tz" in done.err) == (2, True)
