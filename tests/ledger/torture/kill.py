"""Eight writers and a reader; the writers are killed at any moment, and others come in their place."""

from __future__ import annotations

import random
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from eni_ledger.ledger.write import writer
from helpers.ledgers import sealed, settings
from helpers.patience import PATIENCE_S
from ledger.torture.trial import Run, Trial
from ledger.torture.writers import Looking, acknowledged, problems, start

WRITERS, KILLS = 8, 40
COUNT = 10_000
"""More adds than a writer ever gets to: none ends by itself."""


@dataclass
class _Victim:
    """A writer, and the file of what it was told."""

    process: subprocess.Popen[bytes]
    out: Path

    def at_work(self) -> None:
        """Return once something was acknowledged to it: then it is about the moment. Raises TimeoutError."""
        end = time.monotonic() + PATIENCE_S
        while not self.out.stat().st_size:
            if self.process.poll() is not None or time.monotonic() > end:
                raise TimeoutError(f"a writer did not begin: {self.process.poll()}")
            time.sleep(0.001)


def kill(run: Run) -> None:
    """Each round is a new ledger and `KILLS` kills."""
    for _, chance, directory in run.each():
        directory.mkdir()
        _round(run, chance, directory)


def _round(run: Run, chance: random.Random, directory: Path) -> None:
    where = directory / "state"
    over = {
        "rotate_bytes": chance.choice((2_000, 20_000, 1 << 20)),
        "lock_wait_ms": chance.choice((1, 20, 200)),
        "sync": chance.random() < 0.5,
    }
    writer.record(settings(where), {"event": "add_failed", "boot_id": "boot"})
    started = 0
    outs: list[Path] = []

    def another() -> _Victim:
        nonlocal started
        started += 1
        outs.append(directory / f"writer-{started}")
        with outs[-1].open("wb") as out:
            return _Victim(start(where, started, COUNT, out=out, source=run.source, **over), outs[-1])

    def killed(victim: _Victim) -> None:
        victim.process.kill()
        _, err = victim.process.communicate(timeout=PATIENCE_S)
        run.check(not err, f"a writer said {err.decode(errors='replace')}")
        run.counts["kills"] += 1

    reader = Looking(where)
    reader.start()
    victims = [another() for _ in range(WRITERS)]
    try:
        for n in range(KILLS):
            victim = chance.choice(victims)
            victim.at_work()
            time.sleep(chance.random() * 0.012)
            killed(victim)
            victims.remove(victim)
            if n < KILLS - WRITERS:
                victims.append(another())
    finally:
        reader.stop()
        for victim in victims:  # only when something went wrong
            victim.process.kill()
            victim.process.communicate()
    said = [event for out in outs for event in acknowledged(out.read_bytes())]
    events, wrong = problems(where, said)
    for each in [*wrong, *(f"a reader saw {what}" for what in reader.wrong)][:20]:
        run.check(fine=False, what=f"{each} ({over})")
    run.counts["acknowledged"] += len(said)
    run.counts["of them through the spool"] += sum(1 for event in said if event.get("spooled"))
    run.counts["recovered"] += sum(1 for event in events if event["event"] in ("add", "del"))
    run.counts["segments sealed"] += len(sealed(where))
    run.counts["torn tails set aside"] += len(list((where / "quarantine").glob("torn-*")))
    run.counts["looks of a reader"] += reader.rounds


TRIAL = Trial("kill", f"{WRITERS} writers and a reader; SIGKILL at any moment, {KILLS} a round", kill, 25, 2)
