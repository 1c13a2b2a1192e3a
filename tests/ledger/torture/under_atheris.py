"""One target under atheris, in a process of its own: `python under_atheris.py TARGET SECONDS SEED DIRECTORY`.

libFuzzer finds inputs that go new ways through our code, until SECONDS are over; it ends with an exit status that is
not 0 at the first exception, input that takes 10 seconds or memory of 2 GiB. The input is left in DIRECTORY.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Fuzz; never returns."""
    import atheris

    name, seconds, seed, directory = sys.argv[1:]
    where = Path(directory)
    sys.path[:0] = [str(Path(__file__).parents[2])]
    with atheris.instrument_imports(include=["eni_ledger"]):
        from ledger.torture import targets
    target = targets.build(name, where / "work")
    corpus = where / "corpus"
    corpus.mkdir()
    for number, data in enumerate(target.seeds):
        (corpus / f"seed-{number:02}").write_bytes(data)
    words = where / "words"
    quoted = ["".join(f"\\x{byte:02x}" for byte in word) for word in target.words]
    words.write_text("".join(f'"{word}"\n' for word in quoted))

    def one(data: bytes) -> None:
        target.call(data)

    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-dict={words}", f"-artifact_prefix={where}/"]
    options += ["-timeout=PATIENCE_S", "-rss_limit_mb=2048", "-max_len=8192", "-print_final_stats=1", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
