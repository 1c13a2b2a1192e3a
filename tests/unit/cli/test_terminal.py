"""The commands as processes: on a terminal of some width, in a pipe that closes, followed, interrupted."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Ledger

PROGRAM = [sys.executable, "-c", "import sys; from eni_ledger.cli.main import main; sys.exit(main())"]


def environment(ledger: Ledger, **more: str) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "HOME") if key in os.environ}
    return {
        **kept,
        "ENI_LEDGER_STATE_DIR": str(ledger.path),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "PAGER": "",
        **more,
    }


def on_terminal(ledger: Ledger, width: int, *args: str, **env: str) -> str:
    """Return what the command line prints on a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    process = subprocess.Popen(
        [*PROGRAM, *args], stdin=theirs, stdout=theirs, stderr=theirs, env=environment(ledger, **env)
    )
    os.close(theirs)
    data = b""
    try:
        while chunk := os.read(ours, 65536):
            data += chunk
    except OSError:  # Linux: the other side has gone
        pass
    finally:
        os.close(ours)
        process.wait()
    return data.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("width", [80, 120, 160])
@pytest.mark.parametrize("args", [["list"], ["who", "101"], ["who", "102"], ["log"], ["fsck"], ["list", "--at", "now"]])
def test_every_line_fits_the_terminal(filled: Ledger, width: int, args: list[str]) -> None:
    out = on_terminal(filled, width, *args)
    assert "error" not in out
    lines = plain(out).splitlines()
    assert max(len(line) for line in lines if "arn:aws" not in line) <= width
    if args == ["list"]:
        assert lines[0].split()[0] == "VLAN"
        assert "10.0.32.5" in out


def test_80_columns_keep_what_identifies_and_say_what_is_missing(filled: Ledger) -> None:
    filled.add(0xA4, 103, "10.0.39.117/20", "2600:1f14:abcd:1200:1111:2222:3333:4444/64")
    out = plain(on_terminal(filled, 80, "list"))
    assert "eni-0123456789abcdef0" in out
    assert "10.0.39.117 +1" in out
    assert out.splitlines()[0].split()[-3:] == ["TASK", "SINCE", "ID"]
    assert "(NETNS, PID: no room in 80 columns)" in out


def test_80_columns_of_log_have_the_owner_and_the_day(filled: Ledger) -> None:
    lines = plain(on_terminal(filled, 80, "log")).splitlines()
    assert lines[0] == "(NETNS, PID: no room in 80 columns)"
    assert lines[1].split() == ["TIME", "UTC", "EVENT", "VLAN", "IP", "ENI/MAC", "TASK"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", lines[2])
    assert any("a1a1a1a1a1a1" in line for line in lines)


def test_80_columns_of_who_keep_the_id(filled: Ledger) -> None:
    out = plain(on_terminal(filled, 80, "who", "101"))
    assert out.splitlines()[0].split()[-1] == "ID"
    assert "(MAC: no room in 80 columns)" in out


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_one_answer_on_a_terminal_is_a_card(filled: Ledger, width: int) -> None:
    filled.delete(0xA3)
    for args in (["who", "102"], ["list"]):
        out = plain(on_terminal(filled, width, *args))
        assert out.startswith("assoc-")
        assert "task      web/3f9a1c20\n" in out
        assert "until" not in out
        assert "102" in out


LONG = "l" * 255


@pytest.fixture
def crowded(filled: Ledger) -> Ledger:
    """Return a ledger with what takes room: IPv6 alone, a family of 255 letters, a mismatch, a long error."""
    arn = "arn:aws:ecs:ap-southeast-1:123456789012:task/production-cluster/5f8a2b3d5f8a2b3d5f8a2b3d5f8a2b3d"
    task = {"task_arn": arn, "task_revision": 17, "cluster": "production-cluster"}
    filled.add(1, 101, "10.0.32.4/20", **task, task_family="api", eni_id="eni-0123456789abcdef1")
    filled.add(2, 103, "2600:1f14:abcd:1200:1111:2222:3333:4444/64", **task, task_family="payments-worker")
    filled.add(3, 104, "10.0.39.117/20", "fd00::5/64", **task, task_family=LONG)
    filled.add(4, 105, "10.0.39.118/20", mismatch=["branch_mac"], observed_mac="0a:99:99:99:99:99")
    error = "the plugin vpc-branch-eni failed: unable to find the trunk interface eni-0aaaaaaaaaaaaaaaa of the instance"
    filled.write({"event": "add_failed", "container_id": "7" * 64, "ifname": "eth0", "error_msg": error})
    return filled


def words_of(ledger: Ledger) -> set[str]:
    """Return the words that an answer may be made of: those of a boundless terminal and of the ledger."""
    wide = " ".join(plain(on_terminal(ledger, 2000, *args)) for args in CROWDED)
    words = wide.split() + re.split(r'[\s",{}\[\]]+', ledger.file.read_text())
    parts = {part for word in words for part in (word, *word.replace("/", "/ ").replace(":", ": ").split())}
    return {part.strip("(),:") for part in parts}


CROWDED = (["list"], ["who", "10.0.32.4"], ["who", "103"], ["who", "104"], ["who", "105"], ["log"])


def test_nothing_is_broken_inside_a_word(crowded: Ledger) -> None:
    words = words_of(crowded)
    for width in (40, 60, 80, 100, 200):
        for args in CROWDED:
            for line in plain(on_terminal(crowded, width, *args)).splitlines():
                assert len(line) <= width or LONG in line, (width, args, line)
                strange = {word for word in line.split() if len(word) > 5 and not word.strip("(),:;").isalpha()} - words
                assert not {word for word in strange if word.strip("(),:") not in words and not known_form(word)}, (
                    width,
                    args,
                    line,
                )


def known_form(word: str) -> bool:
    """Tell whether a narrow terminal prints a value in a form of its own: shortened as a whole, or a time."""
    return bool(
        re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{12}|[\d:-]+|columns\)|\(?[A-Z/]+[,:]?|arn:.*[/:]|.*/|runtime's", word)
    )


def test_the_name_of_the_task_is_there_at_any_width(crowded: Ledger) -> None:
    for width in (40, 60, 80, 100, 200):
        for args in (["list"], ["who", "10.0.32.4"], ["log"]):
            assert "api:17/5f8a2b3d" in plain(on_terminal(crowded, width, *args)).split(), (width, args)


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_forbidden_by_the_environment(filled: Ledger, env: dict[str, str]) -> None:
    assert "\x1b[" in on_terminal(filled, 120, "list")
    for args in (["list"], ["who", "102"], ["log"], ["fsck"], ["who", "nobody"]):
        assert "\x1b" not in on_terminal(filled, 120, *args, **env)


def test_colour_can_be_forbidden_by_an_option(filled: Ledger) -> None:
    assert "\x1b" not in on_terminal(filled, 120, "list", "--no-color")
    assert "\x1b" not in on_terminal(filled, 120, "--no-color", "log")


def test_an_evil_name_is_shown_and_not_obeyed_on_a_terminal(ledger: Ledger) -> None:
    ledger.add(1, 101, "10.0.0.1/24", eni_id="\x1b]0;owned\x07[red]x")
    for args in (["list"], ["who", "101"], ["log"], ["list", "--json"], ["log", "--json"]):
        out = plain(on_terminal(ledger, 200, *args))
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "[red]x" in out


def heed_interrupts() -> None:
    """Undo that a shell has the commands that it puts in the background ignore SIGINT, which their children inherit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(ledger: Ledger, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment(ledger),
        preexec_fn=heed_interrupts,
    )


def out_of(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def test_a_reader_that_goes_away_is_no_error(ledger: Ledger) -> None:
    for n in range(1, 200):
        ledger.add(n, n, f"10.0.0.{n}/24")
    process = start(ledger, "log", "--json")
    out_of(process).readline()
    out_of(process).close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() in (0, 141)
    process.stderr.close()


def test_a_full_disk_behind_stdout_is_an_error(filled: Ledger) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [*PROGRAM, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment(filled)
        )
    assert done.returncode == 3
    assert done.stderr == "error: No space left on device\n"


def test_a_closed_stdout_is_survived(filled: Ledger) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "list"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=environment(filled),
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}])
def test_any_locale_can_print_any_name(ledger: Ledger, locale: dict[str, str]) -> None:
    ledger.add(1, 101, "10.0.0.1/24", task_family="名前")
    for args in (["list"], ["list", "--json"]):
        done = subprocess.run(
            [*PROGRAM, *args], capture_output=True, check=False, env={**environment(ledger), **locale}
        )
        assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["associations"][0]["task_family"] == "名前"


def test_follow_goes_on_over_a_rotation_until_interrupted(ledger: Ledger) -> None:
    ledger.settings.rotate_bytes = 4096
    for n in range(1, 4):
        ledger.add(n, 100 + n, f"10.0.0.{n}/24")
    process = start(ledger, "log", "--json", "-f", "-n", "2")
    out = out_of(process)
    assert [json.loads(out.readline())["vlan_id"] for _ in range(2)] == [102, 103]
    for n in range(4, 20):
        ledger.add(n, 100 + n, f"10.0.0.{n}/24")
    assert len(list(ledger.path.glob("ledger-*.jsonl"))) >= 1
    seen: list[int] = []
    while 119 not in seen:
        event = json.loads(out.readline())
        seen += [event["vlan_id"]] if "vlan_id" in event else []
    assert seen == list(range(104, 120))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (130, "")


def pages(ledger: Ledger, *args: str, **env: str) -> str:
    """Return what a terminal of 50 lines shows; the pager marks what it prints."""
    return plain(on_terminal(ledger, 120, *args, **{"PAGER": "sed s/^/PAGED/", **env}))


@pytest.fixture
def long(ledger: Ledger) -> Ledger:
    for n in range(1, 80):
        ledger.add(n, n, f"10.0.0.{n}/24")
    return ledger


def test_what_is_longer_than_the_terminal_is_paged(long: Ledger) -> None:
    for args in (["list"], ["log"], ["list", "--json"], ["list", "-o", "csv"], ["topology"]):
        lines = pages(long, *args).splitlines()
        assert len(lines) > 50
        assert all(line.startswith("PAGED") for line in lines), args
    assert "PAGED" not in pages(long, "who", "7")
    assert pages(long, "list", ENI_LEDGER_PAGER="sed s/^/OURS/").startswith("OURS")


def test_a_pager_can_be_forbidden(long: Ledger) -> None:
    for args in (["list", "--no-pager"], ["--no-pager", "list"], ["topology", "--no-pager"]):
        assert "PAGED" not in pages(long, *args)
    for env in ({"PAGER": ""}, {"PAGER": "cat"}, {"ENI_LEDGER_PAGER": ""}, {"TERM": "dumb"}, {"PAGER": "/nonexistent"}):
        out = pages(long, "list", **env)
        assert "PAGED" not in out
        assert "10.0.0.79" in out


def test_under_sudo_the_pager_is_less_that_starts_no_shell(long: Ledger, tmp_path: Path) -> None:
    less = tmp_path / "bin" / "less"
    less.parent.mkdir()
    less.write_text("#!/bin/sh\necho secure=$LESSSECURE $LESS; exec cat\n")
    less.chmod(0o755)
    path = f"{less.parent}:{os.environ['PATH']}"
    assert pages(long, "list", SUDO_UID="1000", PATH=path).startswith("secure=1 FRX")


def test_a_reader_who_leaves_the_pager_has_seen_enough(long: Ledger) -> None:
    for n in range(80, 250):
        long.add(n, n, f"10.0.0.{n}/24")
    assert "error" not in pages(long, "log", "--json", PAGER="head -n 1")


def test_a_pipe_is_never_paged(long: Ledger) -> None:
    process = start(long, "list")
    assert "10.0.0.79" in process.communicate()[0]


def test_watch_in_a_pipe_repeats_the_document_until_interrupted(filled: Ledger) -> None:
    process = start(filled, "list", "--watch=0.1", "--json")
    out = out_of(process)
    documents: list[Any] = []
    text = ""
    while len(documents) < 2:
        text += out.readline()
        try:
            documents.append(json.loads(text))
        except ValueError:
            continue
        text = ""
    assert documents[0] == documents[1]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (130, "")


def test_watch_on_a_terminal_marks_what_is_new(filled: Ledger) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    process = subprocess.Popen(
        [*PROGRAM, "list", "--watch", "0.1"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(filled),
        preexec_fn=heed_interrupts,
    )
    os.close(theirs)
    seen = ""
    while "10.0.32.5" not in seen:
        seen += os.read(ours, 65536).decode()
    assert "every 0.1 s" in seen
    filled.add(0xA9, 109, "10.0.32.9/20")
    while not re.search(r"\x1b\[1m *109 [^\n]*10\.0\.32\.9", seen):
        seen += os.read(ours, 65536).decode()
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    os.close(ours)
