"""Names with control characters and bytes that are no UTF-8: the front door encodes them as any Python does."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.agent import Agent, Branch
from helpers.delegate import script
from helpers.ledgers import add_event, record
from helpers.patience import PATIENCE_S
from helpers.plugin import Plugin, own_netns, result

REPOSITORY = Path(__file__).parents[2]
NAMES = ["a\x07b", "\x1b[31mred", "tab\tnew\nline", "größe \N{SNOWMAN}", "\u202eright to left", "bytes \udcff\udc80"]


def asked(program: Path, where: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    command: list[str | Path] = [program, "--state-dir", where, *words]
    env = {"PATH": os.environ["PATH"], "ENI_LEDGER_STATE_DIR": str(where)}
    return subprocess.run(command, env=env, capture_output=True, timeout=PATIENCE_S, check=False)


@pytest.mark.parametrize("name", NAMES[:5], ids=ascii)
def test_list_of_an_odd_name(front: Path, bundle: Path, tmp_path: Path, name: str) -> None:
    record(tmp_path / "state", add_event(1, container_id=name))
    for words in (["list"], ["list", "--json"], ["who", "10.0.32.4"], ["who", name]):
        ours, theirs = (asked(program, tmp_path / "state", *words) for program in (front, bundle / "eni-ledger-cli"))
        age = re.compile(rb"\s*\b\d+s\b")
        assert (ours.returncode, age.sub(b"", ours.stdout)) == (theirs.returncode, age.sub(b"", theirs.stdout)), words
    assert name not in asked(front, tmp_path / "state", "list").stdout.decode() or name.isprintable()


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_add_with_an_odd_name(front: Path, tmp_path: Path, name: str) -> None:
    """Refused in one printable line, with the code of the specification."""
    answer = Plugin(front, tmp_path / "state").add(
        result("1.0.0", mac="0a:1b:2c:3d:00:01"),
        container_id=name, ifname=name[:4], netns=own_netns(), env={"CNI_ARGS": f"K8S_POD_NAME={name}"},
    )  # fmt: skip
    assert answer.code() == 4
    assert answer.json()["msg"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_interposed_add_with_an_odd_name(front: Path, tmp_path: Path, name: str) -> None:
    """The delegate answers; what cannot be recorded is said in one printable line."""
    script(tmp_path / "real/vpc-branch-eni", "cat")
    agent = Agent(tmp_path / "eni-ledger", front, tmp_path / "real")
    branch = Branch(name, 101, "0a:1b:2c:3d:00:01", ["10.0.32.4/20"])
    answer = agent.add(branch, f"/proc/{name.replace('/', '')}/ns/net")
    assert (answer.status, answer.stdout) == (0, branch.stdin())
    assert all(line.isprintable() for line in answer.stderr.splitlines())
    assert "ended by signal" not in answer.stderr


@pytest.mark.c_front
def test_front_door_has_the_codecs_that_its_modules_name(front: Path) -> None:
    """Others than those that `str` and `bytes` know by themselves stand in its `encodings`."""
    stand_in = (REPOSITORY / "build/front/stand_ins/encodings.py").read_text()
    known = {"utf-8", "ascii", "latin-1", *re.findall(r'^    "(\w+)":', stand_in, re.MULTILINE)}
    names = subprocess.run(
        ["readelf", "--string-dump=.front_modules", front], capture_output=True, text=True, check=True
    ).stdout
    for module in re.findall(r"\beni_ledger\.[\w.]+", names):
        path = REPOSITORY / "cni" / module.replace(".", "/")
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        for call in ast.walk(ast.parse(source.read_text() if source.exists() else "")):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("encode", "decode") and call.args:
                codec = call.args[0]
                assert not isinstance(codec, ast.Constant) or codec.value in known, (module, call.lineno)


def test_a_codec_of_the_front_door_gives_what_the_real_one_gives() -> None:
    code = """
import sys
made = type(sys)("encodings")
found = []
import _codecs
_codecs.register = found.append
exec(open(sys.argv[1]).read(), made.__dict__)
for name, codec in made.CODECS.items():
    for text in ("a", "gr\\u00f6\\u00dfe", "\\x07\\n", "\\U0001f600"):
        data = text.encode(name)
        assert codec[0](text, "strict")[0] == data and codec[1](data, "strict")[0] == text, (name, text)
assert found[0]("utf-8").name == "utf-8" and found[0]("utf-7") is None
"""
    stand_in = REPOSITORY / "build/front/stand_ins/encodings.py"
    subprocess.run([sys.executable, "-c", code, stand_in], check=True)
