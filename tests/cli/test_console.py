from __future__ import annotations

import io

import pytest

from evener.cli import console
from evener.errors import JobNotFound, WrongValue


def test_an_error_is_what_where_and_what_next(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_error(WrongValue("lr is -1", where="job.toml:7: train.lr", fix="above 0"))
    assert capsys.readouterr().err == (
        "error E104: lr is -1\n  where: job.toml:7: train.lr\n  next:  above 0\n"
    )


def test_an_error_without_place_or_way_out_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_error(JobNotFound("there is no job"))
    assert capsys.readouterr().err == "error E101: there is no job\n"


def test_long_errors_are_wrapped_but_paths_stay_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    path = "/very/long/path/" + "x" * 80 + "/file.toml"
    console.print_error(WrongValue("word " * 30, where=path, fix="line one\nline two"))
    lines = capsys.readouterr().err.splitlines()
    assert any(path in line for line in lines)
    assert all(len(line) <= 60 for line in lines if path not in line)
    assert lines[-1] == "         line two"


def test_a_control_character_in_an_error_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_error(WrongValue("bad \x1b[2J name"))
    assert "\x1b" not in capsys.readouterr().err


def test_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_error(WrongValue("[train] lacks [bold]steps[/bold] :smile:"))
    assert "[train] lacks [bold]steps[/bold] :smile:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "letters"),
    [({"NO_COLOR": "1", "TERM": "xterm"}, True), ({"TERM": "xterm-256color"}, False)],
)
def test_without_colour_bars_are_letters(
    variables: dict[str, str], letters: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert (console.marks_of(Console(file=stream, force_terminal=True)).block == "") == letters


def test_what_a_stream_cannot_say_becomes_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    console.prepare_streams()
    sys.stdout.write("Ω ok")
    sys.stdout.flush()
    assert buffer.getvalue() == b"? ok"
