"""What takes bytes that others made, each as a function of such bytes: it may refuse them, in our words, and no more.

`build` makes one of TARGETS in a directory of its own. What an input does is `Target.call`; an exception from it is a
bug. Used by `fuzz_bytes`, under coverage guidance where there is atheris.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from eni_ledger import timespec
from eni_ledger.base import config, minijson
from eni_ledger.base.config import Settings
from eni_ledger.base.errors import EniLedgerError
from eni_ledger.identity import agent_db, bolt
from eni_ledger.install import conflist, conflist_search, env_file, json_merge
from eni_ledger.ledger.check.fsck import fsck
from eni_ledger.ledger.format import line as line_format
from eni_ledger.ledger.format import state_file
from eni_ledger.ledger.query import clock_note
from eni_ledger.ledger.query.questions import History
from eni_ledger.ledger.read import current
from eni_ledger.ledger.read.terms import Query
from eni_ledger.ledger.write import writer
from eni_ledger.plugin import chained, interposed, interposed_event, protocol
from eni_ledger.reconcile import agent_log
from helpers.agent_db import known
from helpers.ledgers import ACTIVE, add_event, del_event, sealed, settings, three_segments

FIXTURES = Path(__file__).parents[2] / "fixtures"
LATER = "2199-01-01T00:00:00.000000Z"
_COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")

Call = Callable[[bytes], object]


@dataclass
class Target:
    """`call` is given an input; `seeds` are good ones, to begin with; `words` what inputs are made of."""

    call: Call
    seeds: list[bytes]
    words: list[bytes]


def refuses(call: Callable[[], object], *more: type[Exception]) -> None:
    """Do `call`; errors of eni-ledger, and those in its docstring, count as success."""
    with suppress(EniLedgerError, *more):
        call()


@contextmanager
def confined(where: Path) -> Iterator[None]:
    """Let no configuration name a path outside `where`: what is fuzzed here runs as root."""
    with mock.patch.object(config, "_is_path", lambda text: text.startswith(str(where)) and ".." not in text):
        yield


CONF: dict[str, Any] = {
    "cniVersion": "1.1.0",
    "name": "n",
    "type": "eni-ledger",
    "journald": False,
    "sync": False,
    "onError": "warn",
    "cni.dev/valid-attachments": [{"containerID": "c", "ifname": "lo"}],
    "prevResult": {
        "cniVersion": "1.1.0",
        "interfaces": [{"name": "lo", "mac": "0a:1b:2c:3d:4e:5f", "sandbox": "/proc/self/ns/net"}],
        "ips": [{"address": "10.0.0.4/20", "gateway": "10.0.0.1", "interface": 0}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}],
    },
}
AGENT: dict[str, Any] = {
    "cniVersion": "0.3.0",
    "name": "n",
    "type": "vpc-branch-eni",
    "trunkName": "eth0",
    "interfaceType": "vlan",
    "trunkMACAddress": "0a:00:00:00:00:01",
    "branchVlanID": "101",
    "branchMACAddress": "0a:1b:2c:3d:4e:5f",
    "ipAddresses": ["10.0.0.4/20"],
    "gatewayIPAddresses": ["10.0.0.1"],
    "blockInstanceMetadata": True,
}
WORDS = [
    *(
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b"-1",
        b"1e999",
        b"1E308",
        b"99999999999999999999",
        b"\\u0000",
        b"\\ud800",
    ),
    *(b"[[[[[[[[", b"\xff", b"\x00", b"\n", b'"', b",", b":", b"4294967296", b"\xe2\x80\xae", b"\\u001b[2J"),
]


def _text(value: object) -> bytes:
    return json.dumps(value).encode()


def _words_of(*values: dict[str, Any]) -> list[bytes]:
    return [*WORDS, *(f'"{key}":'.encode() for value in values for key in value)]


def plugin(where: Path) -> Target:
    """Environment and standard input of a chained call: the first line is the environment."""

    def call(data: bytes) -> None:
        first, _, conf = data.partition(b"\n")
        parts = [os.fsdecode(part.replace(b"\0", b"")) for part in first.split(b"|")] + [""] * 5
        env = dict(zip(("CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_ARGS"), parts, strict=False))
        env |= {"ENI_LEDGER_STATE_DIR": str(where / "state"), "ENI_LEDGER_CONFIG": str(where / "config.json")}
        stdout, stderr = io.BytesIO(), io.BytesIO()
        with confined(where):
            status = protocol.serve({**env, "CNI_NETNS_OVERRIDE": "1"}, io.BytesIO(conf), stdout, stderr, chained.run)
        assert status in (0, 1)
        assert b"Traceback" not in stderr.getvalue()
        assert b"internal error" not in stderr.getvalue(), stderr.getvalue()
        assert status == 0 or json.loads(stdout.getvalue())["msg"]

    (where / "config.json").write_bytes(b'{"journald": false, "sync": false}')
    seeds = [f"{each}|c|lo|/proc/self/ns/net|\n".encode() + _text(CONF) for each in _COMMANDS]
    return Target(call, seeds, _words_of(CONF, CONF["prevResult"], CONF["prevResult"]["ips"][0]))


def agent(where: Path) -> Target:
    """The agent's configuration and CNI_ARGS (the first line) of an interposed call, and what a delegate answers."""
    made = Settings(str(where / "state"))
    made.journald = made.sync = False
    made.agent_db = str(where / "none.db")

    def call(data: bytes) -> None:
        first, _, conf = data.partition(b"\n")
        env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c", "CNI_IFNAME": "lo", "CNI_NETNS": "/proc/self/ns/net"}
        env["CNI_ARGS"] = os.fsdecode(first.replace(b"\0", b""))
        for name in ("vpc-branch-eni", "vpc-eni"):
            one = protocol.Call(env, io.BytesIO(), io.BytesIO())
            prepared = interposed._prepare(name, one, made, conf)
            assert isinstance(prepared, interposed_event.Prepared), prepared
            assert prepared.wrong is None or isinstance(prepared.wrong, EniLedgerError), prepared.wrong
            line_format.encode({"ts": LATER, "seq": 1, **prepared.event}, 0)
            prepared.close()
        interposed_event._error_in(conf)

    args = b"BranchVlanID=7;IPAddresses=10.0.0.9/20,x;GatewayIPAddresses=::1"
    eni = {"eniMACAddress": "0a:1b:2c:3d:4e:5f", "eniIPAddresses": ["fd00::1/64"], "name": "n", "cniVersion": "0.3.0"}
    answer = {"code": 7, "msg": "x", "details": "y"}
    seeds = [b"\n" + _text(AGENT), args + b"\n" + _text(AGENT), b"\n" + _text(eni), b"\n" + _text(answer)]
    return Target(call, seeds, _words_of(AGENT, eni, answer))


def _ask(where: Path) -> None:
    history = History(str(where))
    refuses(history.live)
    refuses(history.all)
    refuses(lambda: list(history.events()))
    refuses(lambda: history.at(LATER))
    refuses(lambda: history.who("10.0.0.1", "2026-01-01T00:00:00.000000Z"))
    refuses(lambda: clock_note.set_back(history, "2026-01-01T00:00:00.000000Z", LATER))
    refuses(lambda: fsck(str(where)))


def _fresh(good: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(good, to)
    to.chmod(0o750)
    return to


def _good(where: Path) -> Path:
    good = where / "good"
    three_segments(good)
    return good


def segment(where: Path) -> Target:
    """The bytes of the active segment, of a sealed one and of `state.json`: the first byte says which."""
    good = _good(where)

    def call(data: bytes) -> None:
        at = _fresh(good, where / "state")
        paths = (at / ACTIVE, sealed(at)[-1], at / "state.json")
        paths[data[0] % 3 if data else 0].write_bytes(data[1:])
        _ask(at)
        refuses(lambda: writer.record(settings(at), add_event(30)))
        refuses(lambda: writer.record(settings(at), del_event(3)))

    files = (good / ACTIVE, sealed(good)[-1], good / "state.json")
    seeds = [bytes([number]) + path.read_bytes() for number, path in enumerate(files)]
    return Target(call, seeds, [*WORDS, b'{"ts":"', b',"crc":"00000000"}\n', b'"event":"', b'"sum":"'])


def chained_line(where: Path) -> Target:
    """A JSON object, its keys over those of a real event and soundly chained: what any root can write.

    The writer only: it has to go on, or to refuse.
    """
    good = _good(where)
    last = json.loads((good / ACTIVE).read_bytes().splitlines()[-1])

    def call(data: bytes) -> None:
        try:
            found = minijson.loads(data)
            over = {key: value for key, value in found.items() if key not in ("crc", "ts", "seq", "v")}
            line, _ = line_format.encode({**last, "seq": last["seq"] + 1, **over}, int(last["crc"], 16))
        except (ValueError, AttributeError, TypeError):
            return
        at = _fresh(good, where / "state")
        with (at / ACTIVE).open("ab") as file:
            file.write(line)
        refuses(lambda: writer.record(settings(at), add_event(30)))

    seeds = [_text({**add_event(9), "association_id": "assoc-1"}), _text({"event": "checkpoint", "live": [{}]})]
    seeds += [_text({"event": "boot", "boot_id": "x"}), _text({"event": "identify", "association_id": "x"})]
    return Target(
        call, seeds, _words_of(dict.fromkeys(line_format.KEYS), {"live": 1, "supersedes": 1, "clock_step_us": 1})
    )


def spooled(where: Path) -> Target:
    """A file in the spool: the bytes as they are, and as an event with a sound CRC."""
    good = _good(where)

    def call(data: bytes) -> None:
        at = _fresh(good, where / "state")
        (at / "spool").mkdir(exist_ok=True)
        (at / "spool" / "0000000000000001-1-00000000.json").write_bytes(data)
        try:
            line, _ = line_format.encode(minijson.loads(data), 0)
            (at / "spool" / "0000000000000002-1-00000000.json").write_bytes(line)
        except (ValueError, AttributeError, TypeError):
            pass
        assert writer.record(settings(at), add_event(30)), "a bad file in the spool kept an event from being recorded"
        assert not list((at / "spool").glob("*.json"))

    event = {"ts": "2026-11-25T00:00:00.000000Z", **add_event(9), "association_id": "assoc-1"}
    seeds = [_text(event), line_format.encode(event, 0)[0], _text({**del_event(3), "ts": event["ts"]})]
    return Target(call, seeds, _words_of(dict.fromkeys(line_format.KEYS)))


def state_json(where: Path) -> Target:
    """A head (first line) and associations of `state.json`, with a sound `sum`, for the last event of the ledger."""
    good = _good(where)
    last = json.loads((good / ACTIVE).read_bytes().splitlines()[-1])

    def call(data: bytes) -> None:
        at = _fresh(good, where / "state")
        first, _, rest = data.partition(b"\n")
        try:
            head = {"v": 1, "seq": last["seq"], "ts": last["ts"], "crc": last["crc"], **minijson.loads(first)}
            (at / "state.json").write_bytes(state_file.StateFile(head, rest.split(b"\n") if rest else []).encode())
        except (ValueError, TypeError):
            return
        refuses(lambda: writer.record(settings(at), add_event(3)))
        refuses(lambda: writer.record(settings(at), del_event(3)))
        refuses(lambda: current.find_live(str(at), {"container_id": "c", "ifname": "eth0"}))

    lines = b"\n".join(line.rstrip(b",") for line in (good / "state.json").read_bytes().splitlines()[1:-1])
    seeds = [b"{}\n" + lines, b'{"seq":0}\n' + _text(add_event(3)), b'{"boot_id":"x"}\n{}']
    return Target(call, seeds, _words_of(add_event(1), {"seq": 1, "boot_id": 1, "association_id": 1}))


def config_json(where: Path) -> Target:
    """The configuration file, for a command and for a call."""
    path = where / "config.json"
    env = {"ENI_LEDGER_CONFIG": str(path)}

    def call(data: bytes) -> None:
        path.write_bytes(data)
        problems: list[Any] = []
        with confined(where):
            refuses(lambda: config.load(None, env))
            config.load({}, env, problems=problems)
            assert all(str(one) for one in problems)

    conf = {"stateDir": "/x", "onError": "fail", "journald": True, "lockWaitMs": 5, "retainDays": 4, "agentDb": "/y"}
    return Target(call, [_text(conf), b"{}"], _words_of(dict.fromkeys(config.FILE_KEYS)))


def database(where: Path) -> Target:
    """The agent's database: bytes laid over the small fixture. An input is offset (3 bytes), length, and so on."""
    path = where / "agent.db"
    whole = (FIXTURES / "agent-db" / "small.db").read_bytes()
    macs = [one["mac"] for one in json.loads((FIXTURES / "agent-db" / "small.expected.json").read_text())][:2]

    def call(data: bytes) -> None:
        broken, at = bytearray(whole), 0
        while at + 4 <= len(data):
            offset, length = int.from_bytes(data[at : at + 3], "little") % len(broken), data[at + 3] % 32
            piece = data[at + 4 : at + 4 + length]
            broken[offset : offset + len(piece)] = piece
            at += 4 + length
        path.write_bytes(broken[: len(whole)])
        for mac in macs:
            known(str(path), mac, 5)
        agent_db.metadata(str(path), 5.0)
        agent_db.tasks(str(path), 5.0)
        agent_db.problem(str(path), 5.0)
        refuses(
            lambda: bolt.view(str(path), bolt.within(5), lambda snapshot: snapshot.buckets()), OSError, bolt.Unreadable
        )

    seeds = [
        b"",
        *(page.to_bytes(3, "little") + b"\x04\xff\xff\xff\x7f" for page in range(0, len(whole), 4096)),
        *((page + 10).to_bytes(3, "little") + b"\x02\xff\xff" for page in range(0, len(whole), 4096)),
    ]
    return Target(
        call, seeds, [b"\x00\x10\x00\x04", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x01\x00", b"\x02\x00"]
    )


def log_lines(where: Path) -> Target:
    """Lines of the agent's plugin logs, from a file."""
    path = where / "vpc-branch-eni.log"

    def call(data: bytes) -> None:
        report = agent_log.ParseReport()
        path.write_bytes(data)
        for event in agent_log.read([path], report):
            line_format.encode({"ts": LATER, "seq": 1, **event.fields}, 0)

    files = sorted((FIXTURES / "agent-log").iterdir())
    seeds = [b"".join(file.read_bytes().splitlines(keepends=True)[:8]) for file in files]
    words = [
        b"{IP:",
        b"Mask:fffff000}",
        b" BranchVlanID:",
        b"Netns:",
        b"level=info",
        b"&{NetConf:{",
        b"\x1f\x8b\x08\x00",
    ]
    return Target(call, seeds, [*WORDS, *words])


def conflists(where: Path) -> Target:
    """Configurations of the runtime and of the agent, which `install` reads and changes."""
    del where

    def call(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        refuses(lambda: conflist.has_plugin(text, "x"))
        with_us: list[str] = []
        refuses(lambda: with_us.append(conflist.add(text, "x")))
        if with_us:
            assert conflist.has_plugin(with_us[0], "x")
            taken = conflist.take_out(with_us[0], "x")
            assert not conflist.has_plugin(taken, "x")
        conflist_search.of_data("x", data)
        conflist_search.needs(data)
        refuses(lambda: json_merge.merge(data, "x", {"a": 1}, {}, None))
        after, undo = env_file.assign(data, "KEY", "value")
        assert env_file.effective(after, "KEY") == "value"
        assert env_file.withdraw(after, "KEY", undo) == data

    chain = {"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "vlan"}, {"type": "eni-ledger"}]}
    seeds = [
        _text(chain),
        json.dumps(chain, indent=2).encode(),
        b"KEY=1\n# x\nexport KEY='2'\n",
        b'{"type":"eni-ledger"}',
    ]
    return Target(call, seeds, [*_words_of(chain), b'{"type":"eni-ledger"}', b"KEY=", b"\r\n", b'"plugins":[]'])


def words(where: Path) -> Target:
    """What is typed: times, and what to look for."""
    del where

    def call(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        refuses(lambda: timespec.span(text, argument="--at"))
        refuses(lambda: Query(text).matches({"addresses": ["10.0.0.1/8", text], "association_id": text}))

    seeds = [b"2026-11-17T03:12:00Z", b"last tuesday 03:12", b"2h ago", b"-15m", b"nov 23 03:12:07", b"1790000000"]
    seeds += [
        b"10.0.0.1",
        b"0a:1b:2c:3d:4e:5f",
        b"net:[4026532281]",
        b"vlan102",
        b"eni-0123456789abcdef0",
        b"fd00::1%x/64",
    ]
    return Target(
        call, seeds, [b"999999999", b"+25:00", b"12pm", b"31", b"february", b"yesterday", "٣".encode(), b"feb 29"]
    )


TARGETS: dict[str, Callable[[Path], Target]] = {
    each.__name__: each
    for each in (
        *(plugin, agent, segment, chained_line, spooled, state_json),
        *(config_json, database, log_lines, conflists, words),
    )
}


def build(name: str, where: Path) -> Target:
    """Return the target `name`, which works in the new directory `where`."""
    where.mkdir(parents=True)
    assert stat.S_ISDIR(where.stat().st_mode)
    return TARGETS[name](where)
