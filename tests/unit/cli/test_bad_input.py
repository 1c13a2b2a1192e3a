"""Whatever is wrong, there is one clear error, the right exit code, and never a traceback."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.ledgers import append_line
from helpers.prereq import need

if TYPE_CHECKING:
    from unit.cli.conftest import Ledger, Ran, Run

READING = [["list"], ["list", "--at", "now"], ["who", "101"], ["who", "101", "--at", "now"], ["show", "0"], ["log"]]


def clear(done: Ran, code: int) -> None:
    """Assert that a command ended with `code` and one error that is no traceback."""
    lines = done.err.splitlines()
    assert done.code == code, done.err
    assert sum(line.startswith("error: ") for line in lines) == 1
    assert all(line.startswith(("error: ", "try: ")) for line in lines)
    assert "Traceback" not in done.err


@pytest.mark.parametrize("args", [*READING, ["fsck"]], ids=" ".join)
class TestReadersTakeAny:
    """What is refused to a writer is read, with a warning: it may be a copy."""

    def test_symbolic_link(self, run: Run, filled: Ledger, tmp_path: Path, args: list[str]) -> None:
        (tmp_path / "link").symlink_to(filled.path)
        plain = run(*args)
        done = run(*args, "--state-dir", str(tmp_path / "link"))
        assert (done.code, done.err) == (plain.code, plain.err)

    def test_others_may_write(self, run: Run, filled: Ledger, args: list[str]) -> None:
        plain = run(*args)
        filled.path.chmod(0o777)
        done = run(*args)
        assert done.code == plain.code
        if args[0] in ("list", "who", "log"):
            assert done.err == f"note: {filled.path}: others may write to it (mode 0777)\n{plain.err}"

    def test_another_users(self, run: Run, filled: Ledger, args: list[str]) -> None:
        need(os.geteuid() == 0, "root")
        plain = run(*args)
        os.chown(filled.path, 12345, 12345)
        done = run(*args)
        assert done.code == plain.code
        if args[0] in ("list", "who", "log"):
            assert done.err == f"note: {filled.path}: it belongs to user 12345\n{plain.err}"


@pytest.mark.parametrize("args", [*READING, ["fsck"]], ids=" ".join)
class TestNoLedger:
    def test_missing_directory(self, run: Run, ledger: Ledger, args: list[str]) -> None:
        done = run(*args)
        clear(done, 3)
        assert f"there is no ledger here: {ledger.path} does not exist" in done.err
        assert "--state-dir" in done.err

    def test_directory_without_a_ledger(self, run: Run, ledger: Ledger, args: list[str]) -> None:
        ledger.path.mkdir(mode=0o750)
        done = run(*args)
        clear(done, 3)
        assert f"there is no ledger here: {ledger.path} has no ledger.jsonl" in done.err
        assert "the first ADD creates it" in done.err

    def test_a_file_for_a_directory(self, run: Run, tmp_path: Path, args: list[str]) -> None:
        file = tmp_path / "file"
        file.write_text("")
        done = run(*args, "--state-dir", str(file))
        clear(done, 3)
        assert f"this is no ledger, and no archive of one: {file}" in done.err

    def test_segment_is_a_link(self, run: Run, filled: Ledger, args: list[str], tmp_path: Path) -> None:
        moved = tmp_path / "elsewhere"
        filled.file.rename(moved)
        filled.file.symlink_to(moved)
        done = run(*args)
        clear(done, 3)
        assert "ledger.jsonl" in done.err
        assert done.out == ""

    def test_later_format(self, run: Run, filled: Ledger, args: list[str]) -> None:
        append_line(filled.path, v=2, event="add")
        done = run(*args)
        clear(done, 3)
        assert "the ledger is in format version 2" in done.err

    def test_bad_configuration_file(self, run: Run, args: list[str], tmp_path: Path) -> None:
        config = tmp_path / "config.json"
        config.write_text("{nonsense")
        done = run(*args, env={"ENI_LEDGER_CONFIG": str(config)})
        clear(done, 3)
        assert str(config) in done.err


def flip(ledger: Ledger, line: int, *, keep_state: bool = False) -> int:
    """Flip one bit in `line` (from 1) of the active segment; return the line's offset."""
    data = bytearray(ledger.file.read_bytes())
    offset = sum(map(len, bytes(data).splitlines(keepends=True)[: line - 1]))
    data[offset + 40] ^= 1
    ledger.file.write_bytes(bytes(data))
    if not keep_state:
        (ledger.path / "state.json").unlink()
    return offset


class TestDamage:
    def test_fsck_names_file_line_and_offset(self, run: Run, filled: Ledger) -> None:
        offset = flip(filled, 3)
        done = run("fsck")
        assert done.code == 1
        assert f"{filled.file} line 3, offset {offset}" in done.err
        assert "damaged" in done.out
        document = run("fsck", "--json").json()
        assert document["sound"] is False
        assert {key: document["damage"][0][key] for key in ("path", "line", "offset")} == {
            "path": str(filled.file),
            "line": 3,
            "offset": offset,
        }

    @pytest.mark.usefixtures("filled")
    def test_a_sound_ledger_is_said_to_be(self, run: Run) -> None:
        done = run("fsck")
        assert (done.code, done.err) == (0, "")
        assert "sound: 5 events, 2 live" in done.out
        document = run("fsck", "--json").json()
        assert (document["sound"], document["events"], document["damage"]) == (True, 5, [])

    def test_log_prints_the_sound_events_then_the_error(self, run: Run, filled: Ledger) -> None:
        offset = flip(filled, 3)
        done = run("log")
        clear(done, 3)
        assert f"{filled.file} line 3, offset {offset}" in done.err
        assert "a1a1a1a1a1a1" in done.out
        assert "3f9a1c20de41" not in done.out
        assert len(run("log", "--json").json_lines()) == 4
        clear(run("log", "-n", "1"), 3)
        assert len(run("log", "-n", "1", "--json").json_lines()) == 1

    def test_list_shows_what_is_proven_then_the_error(self, run: Run, filled: Ledger) -> None:
        flip(filled, 3)
        done = run("list")
        clear(done, 3)
        assert "a3a3a3a3a3a3" in done.out
        document = run("list", "--json").json()
        assert [one["vlan_id"] for one in document["associations"]] == [101]
        assert document["damage"]["line"] == 3
        assert document["damage"]["path"] == str(filled.file)

    @pytest.mark.parametrize("how", ["emptied", "cut", "gone"])
    def test_a_ledger_that_ends_before_state_json_is_said_to(self, run: Run, filled: Ledger, how: str) -> None:
        lines = filled.file.read_bytes().splitlines(keepends=True)
        if how == "gone":
            filled.settings.rotate_bytes = 1
            filled.delete(0xA3)  # into a second segment
            filled.file.unlink()
        else:
            filled.file.write_bytes(b"".join(lines[:3]) if how == "cut" else b"")
        done = run("list")
        clear(done, 3)
        assert "web/3f9a1c20" in done.out  # what state.json says
        place = "line 4" if how == "cut" else "line 1, offset 0"
        assert f"events are missing: {filled.file} {place}" in done.err
        assert run("list", "--json").json()["damage"]["path"] == str(filled.file)
        done = run("fsck")
        assert done.code == 1
        row = next(line for line in done.out.splitlines() if line.startswith("ledger.jsonl"))
        assert row.split()[-1] == ("missing" if how == "gone" else "damaged")

    def test_who_shows_what_is_proven_then_the_error(self, run: Run, filled: Ledger) -> None:
        flip(filled, 3, keep_state=True)
        done = run("who", "101")
        clear(done, 3)
        assert "a1a1a1a1a1a1" in done.out
        assert "a3a3a3a3a3a3" in done.out
        assert len(run("who", "101", "--json").json()["associations"]) == 2
        # not found in what is proven is no "nobody": the damage may hide it
        done = run("who", "102")
        clear(done, 3)
        assert "nothing was found in what is sound, but the ledger is damaged: " in done.err
        done = run("who", "101", "--at", "now")
        clear(done, 3)
        assert "a3a3a3a3a3a3" in done.out

    def test_show_gives_what_is_proven_then_the_error(self, run: Run, filled: Ledger) -> None:
        event = filled.add(0xA4, 104, "10.0.32.9/20")
        flip(filled, 3, keep_state=True)
        done = run("show", event["association_id"])
        clear(done, 3)
        assert "10.0.32.9/20" in done.out

    def test_a_torn_tail_is_no_damage(self, run: Run, filled: Ledger) -> None:
        with filled.file.open("ab") as file:
            file.write(b'{"ts":"2026-11-23T14:0')
        assert run("log").code == 0
        assert run("list").code == 0
        done = run("fsck")
        assert done.code == 0
        assert "note: ledger.jsonl has 22 torn bytes" in done.out

    def test_many_damaged_places_are_not_all_printed(self, run: Run, ledger: Ledger) -> None:
        for n in range(1, 40):
            ledger.add(n, 100 + n)
        lines = ledger.file.read_bytes().splitlines(keepends=True)
        ledger.file.write_bytes(lines[0] + b"".join(b"x" + line for line in lines[1:]))
        done = run("fsck")
        assert done.code == 1
        assert done.err.count("error: ") == 10
        assert "... and " in done.err


@pytest.mark.parametrize("args", [*READING, ["fsck"], ["log", "--json"], ["list", "--json"]], ids=" ".join)
@pytest.mark.parametrize("seed", range(6))
def test_any_bytes_for_a_ledger_end_in_an_answer_or_one_error(
    run: Run, filled: Ledger, seed: int, args: list[str]
) -> None:
    rand = random.Random(seed)
    data = bytearray(filled.file.read_bytes())
    if seed == 0:
        data = bytearray(rand.randbytes(5000))
    elif seed == 1:
        data = bytearray(b"\0" * 4096 + b"\n")
    elif seed == 2:
        data = bytearray(b"[" * 100_000 + b"\n")
    elif seed == 3:
        del data[len(data) // 2 :]
    else:
        for _ in range(4):
            data[rand.randrange(len(data))] ^= 1 << rand.randrange(8)
    filled.file.write_bytes(bytes(data))
    if seed % 2:
        (filled.path / "state.json").write_bytes(rand.randbytes(200))
    done = run(*args)
    assert done.code in (0, 1, 2, 3)
    assert "Traceback" not in done.err
    assert done.code == 0 or done.err


@pytest.mark.parametrize(
    ("command", "option"),
    [("who 1", "--adopt"), ("log", "--repair"), ("list", "--dry"), ("fsck", "--adopt"), ("version", "--state-dir")],
)
def test_what_the_command_has_nothing_like_is_not_suggested(run: Run, command: str, option: str) -> None:
    done = run(*command.split(), option, "x")
    clear(done, 2)
    assert done.err.splitlines()[0] == f"error: no such option '{option}'"


def test_what_may_be_given_several_times_is_taken(run: Run, filled: Ledger, tmp_path: Path) -> None:
    done = run("doctor", "--conf-dir", str(tmp_path), "--conf-dir", str(tmp_path / "a"), "--json")
    assert done.json()["checks"]


@pytest.mark.parametrize(
    ("args", "words", "hint"),
    [
        (["lst"], "there is no such command: 'lst'", "eni-ledger list"),
        (["10.88.0.2"], "there is no such command: '10.88.0.2'", "eni-ledger who 10.88.0.2"),
        (["--json", "who", "101"], "no such option '--json' before the command", "eni-ledger who ... --json"),
        (["--json"], "no such option", "eni-ledger --help"),
        (["who", "101", "--at"], "requires an argument", "eni-ledger who --help"),
        (["schema"], "Choose from: event, state, config", "eni-ledger schema --help"),
        (["completion"], "Choose from: bash, zsh, fish", "eni-ledger completion --help"),
        (["who", "10.88.0.300"], "not an IP address: '10.88.0.300'", "four numbers up to 255"),
        (["who", "10.88"], "not an IP address", "four numbers up to 255"),
        (["who", "10.88.0."], "not an IP address", "four numbers up to 255"),
        (["who", "10.88.0.1/40"], "not an IP address", "four numbers up to 255"),
        (["who", "vlan5000"], "not a VLAN ID", "1 to 4094"),
        (["who", "101", "--at", "2999-01-01"], "--at is in the future: 2999-01-01 00:00:00 UTC", "UTC now"),
        (["list", "--at", "2999-01-01"], "--at is in the future", "UTC now"),
        (["log", "--since", "2999-01-01"], "--since is in the future", "UTC now"),
        (["frobnicate"], "there is no such command: 'frobnicate'", "eni-ledger --help"),
        (["list", "--foo"], "no such option", "eni-ledger list --help"),
        (["--foo"], "no such option", "eni-ledger --help"),
        (["who"], "missing argument 'WHAT...'", "eni-ledger who --help"),
        (["show", "0", "extra"], "got unexpected extra argument (extra)", "eni-ledger show --help"),
        (["who", "10.0.0.1", "--at", "now", "--since", "-1h"], "--at and --since exclude each other", "an interval"),
        (["list", "--at", "now", "--until", "now"], "--at and --until exclude each other", "an interval"),
        (["log", "--at", "now", "--since", "-1h"], "--at and --since exclude each other", "an interval"),
        (["log", "-f", "--at", "now"], "--follow and --at exclude each other", "eni-ledger log --help"),
        (["log", "-f", "-o", "csv"], "--follow prints events as they come", "eni-ledger log -f --json"),
        (["who", "1", "--since", "now", "--until", "-1h"], "--since is later than --until", "change the two round"),
        (["list", "--since", "now", "--until", "-1h"], "--since is later than --until", "change the two round"),
        (["list", "--since", "2999-01-01"], "--since is in the future", "UTC now"),
        (["list", "--json", "-o", "csv"], "--json and -o csv exclude each other", "--json is -o json"),
        (["list", "vlan:5000"], "not a VLAN ID", "1 to 4094"),
        (["log", "vlan:5000"], "not a VLAN ID", "1 to 4094"),
        (["who", "10.0.0.1", "--at", "soonish"], "--at is not a time: 'soonish'", "'2h ago'"),
        (["who", "10.0.0.1", "--at", ""], "--at is not a time: ''", "'2h ago'"),
        (["list", "--at", "2026-02-30"], "--at is not a time: '2026-02-30' (", "'2h ago'"),
        (["log", "--since", "\x1b[2J"], "--since is not a time: '\\x1b[2J'", "'2h ago'"),
        (["log", "--until", "yesteryear"], "--until is not a time", "'2h ago'"),
        (["log", "--since", "now", "--until", "-1h"], "--since is later than --until", "change the two round"),
        (["log", "-n", "-5"], "invalid value for '-n'", "eni-ledger log --help"),
        (["log", "-f", "--until", "now"], "--follow and --until exclude each other", "eni-ledger log --help"),
        (["who", "eni-xyz"], "not an ENI ID", "hex digits"),
        (["who", "what is this?"], "that cannot be looked for", "a MAC"),
        (["who", ""], "that cannot be looked for", "a MAC"),
        (["schema", "nothing"], "invalid value for", "eni-ledger schema --help"),
        (["completion", "tcsh"], "invalid value for", "eni-ledger completion --help"),
        (["list", "--state-dir", ""], "--state-dir is empty", "--state-dir /var/lib/eni-ledger"),
        (["list", "--at", "1h ago", "--at", "2h ago"], "this option is given twice: --at", "eni-ledger list --help"),
        (["list", "--json", "--json"], "this option is given twice: --json", "eni-ledger list --help"),
        (["log", "-n", "3", "--lines", "4"], "this option is given twice: --lines", "eni-ledger log --help"),
        (["--no-color", "who", "1", "--no-color"], "this option is given twice: --no-color", "eni-ledger who --help"),
        (["install", "ecs", "--root", "/a", "--root", "/b"], "twice: --root", "eni-ledger install ecs --help"),
        (["list", "--jsn"], "no such option '--jsn'. Did you mean '--json'?", "eni-ledger list --help"),
        (["list", "-json"], "no such option '-j'. Did you mean '--json'?", "eni-ledger list --help"),
        (
            ["verify", "--mark_lost"],
            "no such option '--mark_lost'. Did you mean '--mark-lost'?",
            "eni-ledger verify --",
        ),
        (["prune", "--retain-day", "3"], "Did you mean '--retain-days'?", "eni-ledger prune --help"),
        (["--jsn", "list"], "no such option '--jsn' before the command", "eni-ledger list ... --json"),
        (["--stat-dir", "/a", "list"], "no such option '--stat-dir'. Did you mean '--state-dir'?", "eni-ledger --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors_exit_2_and_say_what_to_type(
    run: Run, filled: Ledger, args: list[str], words: str, hint: str
) -> None:
    done = run(*args)
    clear(done, 2)
    assert words in done.err
    assert hint in done.err.splitlines()[-1]
    assert done.out == ""


def test_a_time_is_refused_even_when_there_is_no_ledger(run: Run) -> None:
    done = run("who", "10.0.0.1", "--at", "soonish")
    clear(done, 2)
    assert "--at is not a time: 'soonish'" in done.err


def test_what_only_root_may_read_is_said_to_be(run: Run, filled: Ledger) -> None:
    need(os.geteuid() == 0, "root")
    # pytest's own directories are closed to others, so that it would not be ours that is refused
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        place = shutil.copytree(filled.path, Path(open_to_all) / "state")
        (place / "ledger.jsonl").chmod(0o600)
        config = {"ENI_LEDGER_CONFIG": f"{open_to_all}/config.json"}
        (Path(open_to_all) / "config.json").write_text("{}")
        done = []
        for mode in (0o700, 0o755):
            place.chmod(mode)
            os.seteuid(65534)
            try:
                done.append(run("list", "--state-dir", str(place), env=config))
            finally:
                os.seteuid(0)
    for one, words in zip(done, ("the state directory cannot be read", "Permission denied: ledger.jsonl"), strict=True):
        clear(one, 3)
        assert words in one.err
        assert "as root" in one.err


def test_bytes_that_are_no_text_on_the_command_line(run: Run, filled: Ledger) -> None:
    text = "\udcff"
    for args in (["who", text], ["list", "--at", text], [text], ["show", text], ["log", "--since", text]):
        done = run(*args)
        clear(done, 2)
        assert done.out == ""
    clear(run("list", "--state-dir", f"{filled.path}\udcff"), 3)
