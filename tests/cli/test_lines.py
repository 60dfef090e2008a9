from __future__ import annotations

import io
import json

import pytest

from evener import events, state
from evener.cli.lines import JsonLines, Lines, progress
from evener.events import Record
from evener.watch import Glance
from tests.synthetic_run import Script, records


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def glances(told: list[Record], size: int) -> list[Glance]:
    now, found = state.EMPTY, []
    for start in range(0, len(told), size):
        part = tuple(told[start : start + size])
        now = state.fold(part, now)
        found.append(Glance(now, part))
    return found


def shown(told: list[Record], *, seconds_each: float) -> list[str]:
    stream, clock = io.StringIO(), Clock()
    with Lines(stream, clock=clock) as view:
        for glance in glances(told, 4):
            view.show(glance)
            clock.now += seconds_each
    return stream.getvalue().splitlines()


def test_progress_is_a_line_now_and_then() -> None:
    told = list(records(Script(steps=100, ranks=1)))
    steps = [line for line in shown(told, seconds_each=0.5) if "  step " in line]
    assert 5 < len(steps) < 20
    assert steps[-1].endswith("960 samples/s")
    assert "step 100/100  epoch 4 of 4  loss 1.5" in steps[-1]


def test_progress_is_silent_while_no_step_is_made() -> None:
    told = list(records(Script()))[:7]
    assert not [line for line in shown(told, seconds_each=10) if "  step " in line]


def test_notable_events_are_lines_at_once_and_the_end_is_the_last() -> None:
    lines = shown(list(records(Script(steps=200))), seconds_each=0.0)
    assert any(line.endswith("warning: rank 2 lost: killed by signal 9") for line in lines)
    assert any(line.endswith("rank 2 is back, as process 4711") for line in lines)
    assert "  step 200/200" in lines[-2]
    assert lines[-1].endswith("  finished at step 200")


def test_a_text_sample_keeps_its_lines() -> None:
    lines = shown(list(records(Script(steps=100, ranks=1))), seconds_each=0.0)
    at = next(i for i, line in enumerate(lines) if line.endswith("text at step 100:"))
    assert lines[at + 1].strip() == "ROMEO:"
    assert lines[at + 3].strip() == "And makes the night so thin?"


def test_text_from_a_model_carries_no_control_characters() -> None:
    told = [Record(events.TextSampled(1, "", "\x1b[31mred\x00"), 1.0, "s", 1)]
    assert shown(told, seconds_each=0)[1].strip() == "?[31mred?"


def test_what_this_terminal_does_is_said() -> None:
    stream = io.StringIO()
    Lines(stream).say("stopping with a checkpoint")
    assert stream.getvalue().rstrip().endswith("stopping with a checkpoint")


def test_every_event_is_one_line_of_json_that_reads_back() -> None:
    told = list(records(Script(steps=20)))
    stream = io.StringIO()
    with JsonLines(stream) as view:
        for glance in glances(told, 7):
            view.show(glance)
    back = [events.from_dict(json.loads(line)) for line in stream.getvalue().splitlines()]
    assert back == told


def test_notes_do_not_mix_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    JsonLines(stream).say("stopping")
    assert stream.getvalue() == ""
    assert "stopping" in capsys.readouterr().err


def test_progress_of_nothing_is_short() -> None:
    assert progress(state.EMPTY) == "step 0"
