"""The search for ENI and task: tried again while the delegate works, once more when it has answered, again at DEL."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eni_ledger.base.config import Settings
from eni_ledger.ledger.query.questions import History
from eni_ledger.plugin import delegate, identity_search, interposed_event
from eni_ledger.plugin.protocol import Call
from helpers.agent import Branch
from helpers.agent_db import CLUSTER, eni_id, task
from helpers.bolt import BoltWriter
from helpers.delegate import script
from helpers.ledgers import prove
from helpers.plugin import own_netns

if TYPE_CHECKING:
    from collections.abc import Callable

    from eni_ledger.base.events import Event

MAC, ENI, KEY = "0a:1b:2c:3d:00:01", eni_id(1, 1), "a" * 32
BRANCH = Branch("c" * 64, 101, MAC, ["10.0.32.4/20"])
NOT_YET: Callable[[], bool] = lambda: False  # noqa: E731


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(str(tmp_path / "state"))
    made.journald = made.sync = False
    made.agent_db = str(tmp_path / "agent.db")
    return made


def save(settings: Settings, *more: tuple[bytes, bytes], status: str = "RUNNING") -> None:
    """Have the agent's database know the task."""
    known = task(KEY, ENI, MAC, vlan=101, ip="10.0.32.4", status=status)
    writer = BoltWriter(settings.agent_db)
    writer.commit({b"tasks": dict([known, *more]), b"metadata": {}})
    writer.close()


def inconsistent(settings: Settings) -> bytes:
    """Leave the database with a meta that is half written, and return what it will be."""
    save(settings)
    with open(settings.agent_db, "r+b") as file:  # noqa: PTH123 - as a writer has it
        whole = file.read()
        file.seek(16 + 48)
        file.write(b"\xff\xff")
    return whole


def call(command: str) -> Call:
    env = {"CNI_COMMAND": command, "CNI_CONTAINERID": "c" * 64, "CNI_NETNS": own_netns(), "CNI_IFNAME": "lo"}
    return Call(env, io.BytesIO(), io.BytesIO())


def begun(command: str, settings: Settings) -> tuple[Call, interposed_event.Prepared]:
    of = call(command)
    return of, interposed_event.prepare("vpc-branch-eni", of, settings, BRANCH.stdin())


def answered(
    command: str, settings: Settings, look: Callable[[interposed_event.Prepared], None] | None = None
) -> Event:
    """Record a call whose delegate has answered; `look` is what happens while it works."""
    of, prepared = begun(command, settings)
    if look:
        look(prepared)
    written = interposed_event.record(of, settings, prepared, 0, b"{}")
    assert written is not None
    return written


def test_tried_until_it_is_found(settings: Settings) -> None:
    whole = inconsistent(settings)

    def look(prepared: interposed_event.Prepared) -> None:
        pauses = [prepared.work(NOT_YET) for _ in range(8)]
        assert pauses == [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.064, 0.064]
        with open(settings.agent_db, "wb") as file:  # noqa: PTH123
            file.write(whole)
        assert prepared.work(NOT_YET) is None
        os.unlink(settings.agent_db)  # noqa: PTH108 - it is not looked at again
        assert prepared.work(NOT_YET) is None

    written = answered("ADD", settings, look)
    assert (written["eni_id"], written["task_arn"], written["task_family"]) == (ENI, f"{CLUSTER}/{KEY}", "web")
    assert "identity_source" not in written


def test_what_is_not_there_is_not_looked_for_all_the_time(settings: Settings) -> None:
    """A task is saved before its ADD; one that comes later all the same is found."""
    writer = BoltWriter(settings.agent_db)
    writer.commit({b"tasks": {}})
    _, prepared = begun("ADD", settings)
    assert [prepared.work(NOT_YET) for _ in range(3)] == [0.064] * 3
    writer.commit({b"tasks": dict([task(KEY, ENI, MAC, vlan=101)])})
    assert prepared.work(NOT_YET) is None
    assert prepared.event["eni_id"] == ENI
    prepared.close()
    writer.close()


def test_consistent_just_before_the_answer(settings: Settings) -> None:
    """No try while it works was of use, and the last one is made when it has answered."""
    whole = inconsistent(settings)

    def look(prepared: interposed_event.Prepared) -> None:
        assert prepared.work(NOT_YET) == 0.002
        with open(settings.agent_db, "wb") as file:  # noqa: PTH123
            file.write(whole)
        assert prepared.work(lambda: True) == 0.004  # the signal is there: nothing is begun any more

    assert answered("ADD", settings, look)["eni_id"] == ENI


def alone(body: Callable[[], None]) -> None:
    """Run `body` in a process with one thread: a SIGCHLD that another one takes would never be waited for."""
    pid = os.fork()
    if pid == 0:
        try:
            body()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_while_a_real_delegate_works(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on with its work when the database was found unreadable twice, mends it and waits until that was seen."""
    whole = inconsistent(settings)
    os.mkfifo(tmp_path / "go")
    (tmp_path / "whole").write_bytes(whole)
    path = script(
        tmp_path / "delegate",
        f"read -r _ <{tmp_path}/go",
        f"cp {tmp_path}/whole {settings.agent_db}",
        f"read -r _ <{tmp_path}/go",
    )
    _, prepared = begun("ADD", settings)
    tries: list[bool] = []

    def work(signalled: Callable[[], bool]) -> float | None:
        before = "eni_id" in prepared.event
        pause = prepared.work(signalled)
        found = "eni_id" in prepared.event
        tries.append(found)
        if len(tries) == 2 or (found and not before):
            (tmp_path / "go").write_text("go\n")
        return pause

    monkeypatch.setattr("sys.argv", ["vpc-branch-eni"])

    def whole_call() -> None:
        running = delegate.Running(str(path), {"PATH": os.environ["PATH"]}, b"")
        status, _, _ = running.wait(work)
        assert status == 0
        assert tries[:2] == [False, False]
        assert (tries[-1], tries.count(True)) == (True, 1)  # found while it worked, and then it is left alone

    alone(whole_call)
    prepared.close()


def test_missed_at_add_found_at_del(settings: Settings) -> None:
    assert "eni_id" not in answered("ADD", settings)
    save(settings, status="STOPPED")
    ended = answered("DEL", settings)
    assert (ended["eni_id"], ended["task_arn"]) == (ENI, f"{CLUSTER}/{KEY}")
    assert [event["event"] for event in prove(Path(settings.state_dir))] == ["checkpoint", "add", "identify", "del"]
    (found,) = History(settings.state_dir).who(ENI)
    assert found["association_id"] == ended["association_id"]


def test_found_while_the_delegate_works_at_del(settings: Settings) -> None:
    answered("ADD", settings)
    save(settings)

    def look(prepared: interposed_event.Prepared) -> None:
        assert prepared.work(NOT_YET) is None
        os.unlink(settings.agent_db)  # noqa: PTH108

    assert answered("DEL", settings, look)["eni_id"] == ENI


def test_nothing_to_search_for(settings: Settings) -> None:
    assert begun("DEL", settings)[1].search is None  # no ledger
    save(settings)
    answered("ADD", settings)
    _, prepared = begun("DEL", settings)
    assert prepared.search is None  # all is known
    answered("DEL", settings)
    assert begun("DEL", settings)[1].search is None  # it has ended


def test_another_one_with_the_mac_is_not_it(settings: Settings) -> None:
    """At DEL it may have been given out again; which of the two it was, the file does not say."""
    answered("ADD", settings)
    save(settings, task("b" * 32, eni_id(2, 1), MAC, vlan=101, ip="10.0.32.4"), status="STOPPED")
    ended = answered("DEL", settings)
    assert not {"eni_id", "task_arn", "identity_source"} & set(ended)


def test_what_contradicts_what_is_known_is_not_it(settings: Settings) -> None:
    known = {"branch_mac": MAC, "eni_id": eni_id(9, 9), "association_id": "assoc-1"}
    save(settings)
    assert identity_search.Search(settings, known, stopped=True).again(NOT_YET) is None
    assert identity_search.Search(settings, {**known, "eni_id": ENI}, stopped=True).again(NOT_YET) == {
        "eni_id": ENI,
        "task_arn": f"{CLUSTER}/{KEY}",
        "cluster": "prod",
        "task_family": "web",
        "task_revision": "7",
        "association_id": "assoc-1",
        "identity_source": "agent-db",
    }


def test_a_failed_add_has_them_too(settings: Settings) -> None:
    save(settings)
    of, prepared = begun("ADD", settings)
    written = interposed_event.record(of, settings, prepared, 256, b'{"code":7,"msg":"m"}')
    assert written is not None
    assert (written["event"], written["eni_id"]) == ("add_failed", ENI)


def test_the_last_search_does_not_go_on_for_ever(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own processor time, of which a call that waits for its turn uses none."""
    save(settings)
    monkeypatch.setattr(identity_search, "_LAST_NS", -1)
    assert identity_search.Search(settings, {"branch_mac": MAC}).last() is None
