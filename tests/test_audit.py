"""Ledgers that fit are found kept; each way in which they may not fit is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from evener.audit import Finding, judge
from evener.events import Alert, Event, Record, ReplicasCompared, RunStarted, StepCommitted
from evener.membership.generation import Ballot
from evener.rundir.ledger import Life, Line, Restored

EPOCH, BATCH = 20, 8
Lives = dict[int, list[Life]]


def line(step: int, ballot: int = 1, place: int = 0, **other: object) -> Line:
    """Step `step` (from 1) of an order of 20 samples by 8, half of it each of two ranks'."""
    epoch, batch = divmod(step - 1, 3)
    start = batch * BATCH
    stop = min(start + BATCH, EPOCH)
    half = (stop - start) // 2
    shares = (stop - start - half, half)
    at, by = 100.0 + step + ballot / 100, Ballot(ballot, "a00")
    whole = Line(at, by, step, epoch, start, stop, shares, place, 1.0 / step)
    return replace(whole, **other)  # type: ignore[arg-type]


def alone(step: int, ballot: int) -> Line:
    """The step as a rank does it that has lost sight of all others."""
    usual = line(step, ballot)
    return replace(usual, shares=(usual.stop - usual.start,), time=usual.time + 50)


def lives_of(first: int, last: int, ballot: int = 1) -> Lives:
    """Two ranks that did these steps together."""
    return {r: [Life(None, [line(s, ballot, r) for s in range(first, last + 1)])] for r in (0, 1)}


def again(first: int, last: int, ballot: int, place: int, *, restored: bool = True) -> Life:
    """The words of a process that came later."""
    lines = [line(step, ballot, place) for step in range(first, last + 1)]
    later = [replace(each, time=each.time + 50) for each in lines]
    return Life(Restored(later[0].time - 0.5, first - 1) if restored else None, later)


def records(*happened: Event) -> list[Record]:
    return [Record(event, 0.0, "rank 0/0", i) for i, event in enumerate(happened)]


def committed(of: Line) -> StepCommitted:
    size = of.stop - of.start
    return StepCommitted(of.step, of.epoch, 0, of.loss, size, size, 0.1, 1.0, 0.1, 1)


def broken(lives: Lives, *happened: Event) -> list[str]:
    return [f.promise for f in judge(lives, records(*happened)) if not f.kept]


def told(lives: Lives, promise: str, *happened: Event) -> Finding:
    (found,) = [f for f in judge(lives, records(*happened)) if f.promise == promise]
    return found


def test_a_run_without_a_fault_keeps_all() -> None:
    lives = lives_of(1, 7)
    steps = [committed(each) for each in lives[0][0].lines]
    findings = judge(lives, records(*steps))
    assert all(finding.kept for finding in findings)
    assert told(lives, "samples").text == ("steps 1 to 7 took 48 samples, each in exactly one step")
    assert told(lives, "record", *steps).text == "it has 7 steps, up to 7"


def test_nothing_is_said_of_a_run_that_took_no_step() -> None:
    (finding,) = judge({0: [Life()], 1: []}, [])
    assert finding == Finding("samples", True, "no rank has taken a step")


def test_a_rank_that_died_is_spoken_for_by_the_others() -> None:
    lives = lives_of(1, 4)
    del lives[1][0].lines[2:]
    lives[1].append(again(5, 5, 2, 1, restored=False))
    lives[0][0].lines += again(5, 5, 2, 0).lines
    assert broken(lives) == []


def test_a_step_that_only_the_dead_had_committed_is_computed_again() -> None:
    lives = lives_of(1, 4)
    lives[1][0].lines.append(line(5, 1, 1))
    lives[0][0].lines += [alone(5, 2), alone(6, 2)]
    assert broken(lives) == []
    assert "1 were computed by two generations" in told(lives, "history").text


def test_two_steps_that_are_gone_are_not_kept() -> None:
    lives = lives_of(1, 4)
    lives[1][0].lines += [line(5, 1, 1), line(6, 1, 1)]
    lives[0][0].lines += [alone(5, 2), alone(6, 2)]
    assert broken(lives) == ["undone"]


def test_after_the_death_of_all_a_checkpoint_is_gone_back_to() -> None:
    """One rank restores it, the other takes its state; then a third joins below the old step."""
    lives = lives_of(1, 9)
    lives[0].append(again(4, 8, 2, 0))
    lives[1].append(again(4, 5, 2, 1, restored=False))
    lives[1].append(again(7, 8, 3, 1, restored=False))
    lives[0][1].lines[3:] = again(7, 8, 3, 0).lines
    assert broken(lives) == []
    assert "1 that began from a checkpoint" in told(lives, "undone").text


def test_ballots_of_a_run_that_was_started_again_begin_anew() -> None:
    lives = lives_of(1, 9, ballot=4)
    for rank in (0, 1):
        lives[rank].append(again(4, 12, 4, rank, restored=rank == 0))
    starts = [
        Record(RunStarted("run", "job", "mlp", "numbers", 2, 1, 8, resumed, "local"), at, "l", i)
        for i, (at, resumed) in enumerate([(90.0, False), (145.0, True)])
    ]
    assert [f.promise for f in judge(lives, starts) if not f.kept] == []


def test_a_parked_rank_that_must_go_on_takes_a_checkpoint() -> None:
    """The only other one died; what it had itself is older, or newer, than that."""
    lives = lives_of(1, 6)
    del lives[1][0].lines[5:]
    lives[1].append(again(4, 7, 2, 1))
    for index, each in enumerate(lives[1][1].lines):
        lives[1][1].lines[index] = replace(each, shares=(each.stop - each.start,), place=0)
    assert broken(lives) == []


def test_two_sides_that_were_cut_apart_are_one_history() -> None:
    """Rank 1 alone went on from step 4 while rank 0 did, and took rank 0's state in the end."""
    lives = lives_of(1, 4)
    lives[0][0].lines += [alone(step, 2) for step in range(5, 12)]
    lives[1][0].lines += [alone(step, 3) for step in range(5, 8)]
    for place in (0, 1):
        together = [line(step, 5, place) for step in range(12, 15)]
        lives[place][0].lines += [replace(each, time=each.time + 90) for each in together]
    assert broken(lives) == []


@pytest.mark.parametrize("wrong_s", [-3600.0, -20.0, 20.0, 3600.0])
@pytest.mark.parametrize("place", [0, 1])
def test_a_clock_that_is_wrong_or_jumps_breaks_no_promise(wrong_s: float, place: int) -> None:
    """One machine's, from the beginning or from a step on; then it is left alone, and joined."""
    for since in (0, 5):
        lives = lives_of(1, 9)
        lives[place][0].lines += [alone(step, 2) for step in range(10, 40)]
        lives[1 - place].append(again(40, 60, 3, 1 - place, restored=False))
        joined = again(40, 60, 3, place).lines
        lives[place][0].lines += joined
        for words in lives[place]:
            late = [replace(x, time=x.time + wrong_s * (x.step > since)) for x in words.lines]
            words.lines[:] = late
        start = RunStarted("run", "job", "mlp", "numbers", 2, 1, 8, False, "local")
        steps = [committed(each) for each in lives[place][0].lines]
        told = [Record(start, 100.0, "launcher", 0)] + [
            Record(step, 100.0 + wrong_s * (place == 0), f"r{step.step // 20}", i)
            for i, step in enumerate(steps)
        ]
        assert [f for f in judge(lives, told) if not f.kept] == []


HARM: dict[str, Callable[[list[Line]], None]] = {
    "samples/shares": lambda lines: _change(lines, 3, shares=(1, 1)),
    "samples/gap": lambda lines: _change(lines, 3, start=9),
    "samples/epoch": lambda lines: _change(lines, 3, stop=19, shares=(2, 1)),
    "history": lambda lines: _change(lines, 3, epoch=5),
    "sums": lambda lines: _change(lines, 3, loss=0.5),
    "order/back": lambda lines: lines.append(lines[2]),
    "order/left out": lambda lines: lines.__delitem__(3),
}


def _change(lines: list[Line], step: int, **other: object) -> None:
    lines[step - 1] = replace(lines[step - 1], **other)  # type: ignore[arg-type]


@pytest.mark.parametrize("harm", HARM)
def test_what_does_not_fit_is_found(harm: str) -> None:
    lives = lives_of(1, 7)
    HARM[harm](lives[1][0].lines)
    assert harm.partition("/")[0] in broken(lives)


def test_a_step_nobody_has_is_found() -> None:
    lives = lives_of(1, 7)
    for rank in (0, 1):
        del lives[rank][0].lines[3]
    assert "no rank has committed step 4" in told(lives, "samples").text
    full = Alert("warning", "ledger_rank_0.txt cannot be written (no space is left) and ends here")
    assert broken(lives, full) == ["order"]
    assert "1 steps are in no ledger" in told(lives, "samples", full).text


def test_a_record_that_lacks_or_invents_is_found() -> None:
    lives = lives_of(1, 4)
    steps = [committed(each) for each in lives[0][0].lines]
    assert broken(lives, *steps[:1], *steps[2:]) == ["record"]
    assert broken(lives, *steps, committed(line(5))) == ["record"]
    assert broken(lives, *steps[:3], replace(steps[3], samples=1)) == ["record"]
    assert broken(lives, *steps[:2]) == []  # it comes later than the ledger


def test_a_record_of_every_second_step_is_whole() -> None:
    lives = lives_of(1, 7)
    steps = [committed(each) for each in lives[0][0].lines][1::2]
    assert all(f.kept for f in judge(lives, records(*steps)))


def test_replicas_that_were_mended_are_told() -> None:
    lives = lives_of(1, 4)
    compared = ReplicasCompared(3, (0, 1), (0.0, 0.5), (1,))
    assert told(lives, "replicas").text == "not compared yet"
    text = told(lives, "replicas", compared).text
    assert "5.0e-01" in text
    assert "rank 1 at step 3" in text
