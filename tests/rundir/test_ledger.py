"""What ranks write of their steps is read as it was, whatever became of the writer."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from evener.errors import StoreDamaged
from evener.membership.generation import Ballot
from evener.rundir import ledger
from evener.rundir.layout import RunDir
from evener.rundir.ledger import Ledger, Life, Line, Restored

LINE = Line(1763780000.123456, Ballot(3, "a01"), 57, 4, 0, 24, (8, 8, 8), 1, 0.1 + 0.2)


def ignore(text: str) -> None:
    raise AssertionError(text)


def test_what_is_written_is_read_to_the_bit(tmp_path: Path) -> None:
    file = tmp_path / "ledger_rank_1.txt"
    lines = [LINE, replace(LINE, step=58, loss=math.inf), replace(LINE, step=59, shares=(24,))]
    written = Ledger(file, ignore)
    for line in lines:
        written.write(line)
    written.close()
    assert ledger.read(file) == [Life(None, lines)]


def test_each_process_has_words_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "ledger_rank_1.txt"
    for step in (57, 90):
        written = Ledger(file, ignore)
        written.write(replace(LINE, step=step))
        written.close()
    steps = [[line.step for line in life.lines] for life in ledger.read(file)]
    assert steps == [[57], [90]]


def test_what_a_process_restored_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "ledger_rank_1.txt"
    written = Ledger(file, ignore)
    written.restored(5.0, 56)
    written.write(LINE)
    written.restored(9.5, 40)
    written.close()
    assert ledger.read(file) == [Life(Restored(5.0, 56), [LINE]), Life(Restored(9.5, 40))]


@pytest.mark.parametrize("cut", range(2, 40))
def test_a_line_that_a_death_cut_off_is_passed_over(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "ledger_rank_1.txt"
    for step in (57, 90):
        written = Ledger(file, ignore)
        written.write(replace(LINE, step=step))
        written.write(replace(LINE, step=step + 1))
        written.close()
        file.write_bytes(file.read_bytes()[:-cut])
    steps = [[line.step for line in life.lines] for life in ledger.read(file)]
    assert steps == [[57], [90]]


def test_a_line_that_nobody_writes_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ledger_rank_1.txt"
    file.write_text("-\nhello .\n")
    with pytest.raises(StoreDamaged, match="hello") as error:
        ledger.read(file)
    assert error.value.where.endswith("ledger_rank_1.txt:2")


def test_a_disk_that_does_not_take_it_is_told_once_and_training_goes_on(tmp_path: Path) -> None:
    told: list[str] = []
    written = Ledger(tmp_path / "missing" / "ledger_rank_0.txt", told.append)
    written.write(LINE)
    written.write(LINE)
    (text,) = told
    assert "ledger_rank_0.txt cannot be written" in text


def test_the_ledgers_of_a_run_are_found_by_rank(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.create()
    for rank in (0, 3, 12):
        run.ledger(rank).write_text("-\n")
    assert run.ledgers() == {rank: run.ledger(rank) for rank in (0, 3, 12)}
