from __future__ import annotations

from pathlib import Path

import pytest

from evener.cli import logs, main
from evener.cli.logs import Tail
from evener.rundir.layout import RunDir
from tests.synthetic_run import Script, records, run_with


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    found = run_with(tmp_path, list(records(Script(steps=5))))
    found.rank_log(0).write_text("zero a\nzero b\n")
    found.rank_log(1).write_text("one a\r\nfinishing")
    found.rank_log(10).write_text("ten\n")
    (found.logs / "agent_a00.log").write_text("agent up\n")
    found.head_log.write_text("head up\n")
    return found


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main.main(["logs", *args]) == 0
    return capsys.readouterr().out


def test_all_ranks_are_shown_with_their_names(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(capsys, str(run.path)).splitlines() == [
        "rank 0 | zero a",
        "rank 0 | zero b",
        "rank 1 | one a",
        "rank 10 | ten",
        "rank 1 | finishing",
    ]


def test_one_rank_is_shown_as_it_wrote(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, str(run.path), "--rank", "1") == "one a\nfinishing\n"


def test_agents_and_head_are_shown_on_demand(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, str(run.path), "--agent")
    assert text.splitlines() == ["agent a00 | agent up", "head | head up"]


def test_a_rank_without_a_log_is_an_error_that_names_those_with(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["logs", str(run.path), "--rank", "7"]) == 2
    assert "ranks with a log: 0, 1, 10" in capsys.readouterr().err


def test_following_hands_out_what_comes_and_ends_with_the_run(tmp_path: Path) -> None:
    file = tmp_path / "rank_0.log"
    writes = iter(["a\nb", "b\n", "c"])
    living = iter([True, True, True, True, False])

    def sleep(seconds: float) -> None:
        with file.open("a") as log:
            log.write(next(writes, ""))

    found = list(logs.read(lambda: [file], lambda: next(living), sleep))
    assert [line for _, line in found] == ["a", "bb", "c"]


def test_a_file_is_read_on_from_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    tail = Tail(file)
    assert list(tail.lines()) == []
    file.write_bytes("häl".encode()[:2])
    assert list(tail.lines()) == []
    with file.open("ab") as log:
        log.write("häl".encode()[2:] + b"f\nnext\n\xff\n")
    assert list(tail.lines()) == ["hälf", "next", "�"]
