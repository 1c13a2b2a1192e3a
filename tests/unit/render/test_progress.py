import pytest

from eni_ledger.render.progress import Progress
from eni_ledger.render.screen import Screen


def on_terminal() -> Screen:
    screen = Screen()
    screen.err_is_terminal = True
    return screen


def test_what_takes_long_gets_a_bar_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(on_terminal(), "reading the ledger", patience=0)
    progress(1024, 4096)
    progress(4096, 4096)
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading the ledger" in err
    assert "kB" in err


def test_what_is_quick_gets_none(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(on_terminal(), "fsck", patience=1000)
    progress(1024, 4096)
    progress.close()
    assert capsys.readouterr() == ("", "")


def test_no_bar_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(Screen(), "fsck", patience=0)
    progress(1024, 4096)
    progress.close()
    assert capsys.readouterr() == ("", "")
