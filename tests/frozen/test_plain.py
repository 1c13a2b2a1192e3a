"""Plain questions, which the front door answers itself: byte for byte as the command line does, and without it."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from eni_ledger.ledger.archive.prune import prune
from eni_ledger.ledger.format import gzip_members
from eni_ledger.ledger.format.line import now_us
from eni_ledger.ledger.write import writer
from eni_ledger.ledger.write.batch import record_found
from helpers.ledgers import add_event, del_event, prove, record, settings
from helpers.patience import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

    from eni_ledger.base.events import Association, Draft, Event

ENI, LATE_ENI = "eni-0123456789abcdef0", "eni-0123456789abcdef1"
TASK = "arn:aws:ecs:eu-central-1:123456789012:task/prod/0123456789abcdef0123456789abcdef"
AGE = re.compile(rb"\s*\b(?:\d+[smhd])+\b")  # it may be a second more when the other one is asked
BOOTS = ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b")


def history(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a ledger with a past that is packed, a sealed segment and an active one, with all that can happen."""
    monkeypatch.setattr(gzip_members, "MEMBER", 1200)
    rotate: dict[str, Any] = {"rotate_bytes": 6000}
    gone: Event | None = None
    for n in range(30):
        about = {"boot_id": BOOTS[n > 14]}
        addresses = [f"10.0.0.{n % 7}/20", *([f"fd00::{n}/64"] if n % 11 == 5 else [])]
        record(where, add_event(n, vlan_id=n % 5 + 1, addresses=addresses, **about), **rotate)
        if n % 3 == 1:
            gone = writer.record(settings(where, **rotate), del_event(n, **about))
        if n % 10 == 4:
            record_found(settings(where), about, identified)
        if n % 10 == 8 and gone:
            late = {"event": "identify", "late": True, "eni_id": LATE_ENI, "association_id": gone["association_id"]}
            record_found(settings(where), about, lambda _, late=late: [late])  # type: ignore[misc]
        if n == 20:
            prune(settings(where))
        if n == 22:
            monkeypatch.setattr(writer, "now_us", lambda: now_us() - 3_600_000_000)
        if n == 26:
            monkeypatch.undo()
    record(where, add_event(40, container_id='a "name" \\ with \x1b[31m', boot_id=BOOTS[1]))


def identified(live: list[Association]) -> list[Draft]:
    """Return the event that tells ENI and task of the latest association."""
    return [{"event": "identify", "association_id": live[-1]["association_id"], "eni_id": ENI, "task_arn": TASK}]


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "state"
    history(place, monkeypatch)
    return place


def ask(program: Path, where: Path, *arguments: str, copied: bool = False) -> subprocess.CompletedProcess[bytes]:
    """Run a command line; `copied`: on a ledger of another boot, in a directory that is not the configured one."""
    command = [str(program), "--state-dir", str(where), *arguments]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("CNI_", "ENI_LEDGER_"))}
    env |= {} if copied else {"ENI_LEDGER_STATE_DIR": str(where)}
    return subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_S, env=env)


def questions(where: Path) -> list[list[str]]:
    """Return questions of every kind, about moments all over the history."""
    moments = sorted({event["ts"] for event in prove(where)})
    whats = ["10.0.0.3", "10.0.0.33", "3", "vlan3", "0a:00:00:00:00:01", ENI, LATE_ENI, TASK, f"{7:064x}"]
    whats += [f"{7:064x}"[:60], "fd00::5", "4026532000", "/proc/1007/ns/net", "assoc-0", "nobody"]
    others = ["10.0.0.300", "::ffff:10.0.0.3", "[fd00::5]", "0a00.0000.0001", "0a0000000001", "3!"]
    others.append(TASK.rpartition("/")[2][:12])
    others += ["/host/proc/1007/ns/net", f"default-{7:064x}", "012345", "0" * 12, "10.0.0.0/20", "10.9.9.9", "10.9.9.9"]
    asked = [["who", what, *at] for at in ([], ["--at", moments[-9]]) for what in others]
    asked += [["who", what] for what in whats] + [["list"], ["list", "--at", "2020-01-01T00:00:00Z"]] * 2
    asked += [["list", "--at", when] for when in [*moments[::9], moments[-1][:19]]]
    between = [["--since", moments[3]], ["--until", moments[-9]], ["--since", moments[9], "--until", moments[-9]]]
    filters = [["--vlan", "3"], ["--family", "web"], ["--trunk", "0a:00:00:00:00:01", "--mismatch"], ["--via", "*"]]
    asked += [["list", *more] for more in (*between, *filters, [*between[2], *filters[0]], ["10.0.0.3"], ["nobody"])]
    asked += [["who", what, *more] for what in ("3", "10.0.0.0/28") for more in (*between, *filters)]
    asked += [["who", what] for what in ("vlan:3", "family:web", "web:3", "colour:red", "10.0.0.1/20")]
    for number, what in enumerate(whats):
        for when in moments[number % 4 :: 17]:
            asked += [["who", what, "--at", when], ["who", what, "--at", f"{when[:19]}Z"]]
    return asked


def test_every_answer_is_the_command_lines(front: Path, bundle: Path, where: Path) -> None:
    told = set()
    for number, question in enumerate(questions(where)):
        form = [[], ["--json"]][number % 2]
        ours = ask(front, where, *question, *form)
        theirs = ask(bundle / "eni-ledger-cli", where, *question, *form)
        assert ours.returncode == theirs.returncode, question
        assert AGE.sub(b"", ours.stdout) == AGE.sub(b"", theirs.stdout), question
        assert ours.stderr == theirs.stderr, question
        told.add((ours.returncode, bool(ours.stdout)))
    assert told >= {(0, True), (1, False), (2, False)}


@pytest.mark.parametrize("mode", [0o750, 0o775])
def test_what_is_said_of_a_copy_is_the_command_lines(front: Path, bundle: Path, where: Path, mode: int) -> None:
    where.chmod(mode)
    for question in (["list"], ["who", "10.0.0.3"], ["who", "10.9.9.9"]):
        for form in ([], ["--json"]):
            theirs = ask(bundle / "eni-ledger-cli", where, *question, *form, copied=True)
            ours = ask(front, where, *question, *form, copied=True)
            assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr), question
            assert AGE.sub(b"", ours.stdout) == AGE.sub(b"", theirs.stdout), question
            assert (b"as of " in ours.stdout, b"note: as of " in ours.stderr) == (not form, bool(form))
            assert (b"others may write to it" in ours.stderr) == (mode == 0o775)


def test_the_front_door_answers_alone(copy: Path, where: Path) -> None:
    (copy / "eni-ledger-cli").unlink()
    front = copy / "eni-ledger"
    moments = sorted({event["ts"] for event in prove(where)})
    whats = ["10.0.0.3", "3", "0a:00:00:00:00:01", ENI, f"{7:064x}", TASK, "4026532000", "/proc/1007/ns/net"]
    whats += ["0a00.0000.0001", TASK.rpartition("/")[2][:12], "/host/proc/1007/ns/net", f"default-{7:064x}", "3!"]
    whats += ["10.0.0.0/20", "nobody", "vlan:3", "family:web", "web:3", "trunk:0a:00:00:00:00:01"]
    for question in (["list"], ["list", "--via", "*"], *(["who", what] for what in whats)):
        for form in ([], ["--json"]):
            for at in ([], ["--at", moments[len(moments) // 3]], ["--at", moments[-1][:19]]):
                for _ in range(20):  # on a busy machine it may give up, for the command line to answer
                    done = ask(front, where, *question, *at, *form)
                    if b"cannot be run" not in done.stderr:
                        break
                assert done.returncode in (0, 1), (question, form, at, done.stderr)
                assert b"cannot be run" not in done.stderr
                assert done.stdout or done.returncode == 1


@pytest.mark.c_front
@pytest.mark.parametrize(
    "arguments",
    [
        ["who", "10.0.0.3", "--at", "yesterday"],
        ["who", "--help"],
        ["who", "10.0.0.3/x"],
        ["who", "fd00::5"],
        ["who", "fd00::/64"],
        ["who", "10.0.0.1/20"],
        ["list", "--at", "3am"],
        ["show", "who"],
        ["log", "-n", "1"],
        ["version"],
    ],
)
def test_what_is_not_plain_takes_the_command_line(copy: Path, where: Path, arguments: list[str]) -> None:
    (copy / "eni-ledger-cli").unlink()
    done = ask(copy / "eni-ledger", where, *arguments)
    assert done.returncode == 3
    assert b"eni-ledger-cli cannot be run" in done.stderr


def test_a_container_runtimes_environment_makes_no_difference(front: Path, where: Path) -> None:
    env = {**os.environ, "CNI_COMMAND": "ADD", "CNI_IFNAME": "eth0"}
    command = [str(front), "--state-dir", str(where), "who", "10.0.0.3", "--json"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_S, env=env)
    assert done.stdout == ask(front, where, "who", "10.0.0.3", "--json").stdout


def test_an_output_that_is_closed_or_full(front: Path, bundle: Path, where: Path) -> None:
    for shell in ('exec "$0" "$@" >&-', 'exec "$0" "$@" >/dev/full', '"$0" "$@" | true'):
        answers = []
        for program in (front, bundle / "eni-ledger-cli"):
            command = ["/bin/sh", "-c", shell, program, "--state-dir", where, "who", "10.0.0.3", "--json"]
            done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_S)
            answers.append((done.returncode, done.stdout, done.stderr))
        assert answers[0] == answers[1], shell


def test_the_sample_is_in_the_bundle(front: Path, tmp_path: Path) -> None:
    """Nobody needs a ledger of their own, nor root, to try a question."""
    command = [str(front), "who", "10.0.32.5", "--at", "2026-11-27 03:12", "--sample"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the sample ledger, as of 2026-11-27 ")
    assert "api:18/" in done.stdout
