"""Faults that the kernel injects (strace), and a look at all system calls: is there none that nobody counted?"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ledger.torture.faults import LIBRARIES, SCRIPT, again, boundaries
from ledger.torture.faults import server as serving
from ledger.torture.scenarios import SCENARIOS, Before, Scenario
from ledger.torture.trial import Run
from ledger.torture.verdict import after_a_fault, counted

INJECTED = (
    ("fdatasync",),
    ("fsync",),
    ("rename", "renameat", "renameat2"),
    ("ftruncate",),
    ("unlink", "unlinkat"),
    ("fdatasync", "ftruncate"),
)
"""System calls that fail; of the last, both: the line that could not be synced cannot be taken back either."""

_TRACED = (
    "openat,close,write,pwrite64,writev,pwritev,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,"
    "mkdir,mkdirat,rmdir,truncate,ftruncate,fallocate,fsync,fdatasync,sync,syncfs,sync_file_range,msync,chmod,fchmod,"
    "fchmodat,chown,fchown,fchownat,utimensat,setxattr,fsetxattr,copy_file_range,sendfile,splice,mknodat"
)
_CALL = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(.*)")
_NAMES = {"openat": "open", "renameat": "rename", "renameat2": "rename", "unlinkat": "unlink", "mkdirat": "mkdir"}
_REPORT = re.compile(r'"{\\"(call|said|error|bug)\\"')
"""How a write begins that tells the server of writers something."""


def trace(
    source: Path, scenario: Scenario, where: Path, log: Path, failing: tuple[str, ...] = (), nth: int = 0
) -> dict[str, Any]:
    """Do a scenario under strace, the `nth` of each of the calls `failing` with EIO; return the answer.

    Its `calls` are the system calls of the writer instead, in the same form.
    """
    command = ["strace", "-f", "-qq", "-s", "16", "-o", str(log), "-e", f"trace={_TRACED}"]
    if failing:
        command += ["-e", f"inject={','.join(failing)}:error=EIO:when={nth}"]
    settings = {"sync": True, "lock_wait_ms": 0, **scenario.over}
    request = {"do": scenario.do, "dir": str(where), "settings": settings, "fault": None, "dry": False}
    done = subprocess.run(
        [*command, sys.executable, "-I", "-S", str(SCRIPT), str(source), LIBRARIES],
        input=json.dumps(request) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    answer["counted"] = answer["calls"]
    answer["calls"] = _calls(log.read_text("utf-8", "replace"))
    return answer


def _calls(log: str) -> list[dict[str, Any]]:
    """Return the calls of the writer, which is the process that begins last, as `faulty.py` tells of them."""
    found = [match for match in map(_CALL.match, log.splitlines()) if match]
    writer = max((match[1] for match in found), key=int)
    calls = []
    for _, name, arguments, _, rest in (match.groups() for match in found if match[1] == writer):
        if name == "openat" and "O_CREAT" not in arguments and "O_TRUNC" not in arguments:
            continue
        about = arguments.partition(",")[0]
        if name == "write" and _REPORT.match(arguments, len(about) + 2):
            continue
        calls.append({"call": _NAMES.get(name, name), "about": about, "file": arguments, "failed": "INJECTED" in rest})
    return calls


def _none_uncounted(run: Run, scenario: Scenario, template: Path) -> None:
    """Check that the writer makes no call that changes something and is not counted: none would be killed at."""
    where = again(template, template.with_name("traced"))
    answer = trace(run.source, scenario, where, template.with_name("log"))
    counted_ = [call["call"] for call in boundaries(answer["counted"])]
    seen = [call["call"] for call in boundaries(answer["calls"])]
    run.counts["looks at all system calls"] += 1
    run.check(counted_ == seen, f"{scenario.name}: calls that were counted {counted_}, those that there are {seen}")


def everything(run: Run, directory: Path, chance: random.Random, share: int) -> None:
    """Inject faults into `share` scenarios, look at the calls of as many."""
    chosen = chance.sample(SCENARIOS, share)
    with serving(run.source) as writers:
        for scenario in [*(s for s in SCENARIOS if s.name in ("add", "rotation", "fold of three")), *chosen]:
            template = directory / f"{scenario.name} to be traced"
            if template.exists():
                continue
            scenario.prepare(template)
            _none_uncounted(run, scenario, template)
            before, where = Before.of(template), template.with_name("injected")
            for failing in INJECTED:
                nth, hit = 0, True
                while hit:
                    nth += 1
                    log = template.with_name("log")
                    answer = trace(run.source, scenario, again(template, where), log, failing, nth)
                    if not (hit := any(call["failed"] for call in answer["calls"])):
                        break
                    run.counts["of EIO by the kernel"] += 1
                    run.counts.update(counted(answer))
                    wrong = after_a_fault(writers, scenario, where, before, answer)
                    what = f"{scenario.name}, {', '.join(failing)} number {nth} fails: {'; '.join(wrong)}"
                    if not run.check(not wrong, what):
                        return
