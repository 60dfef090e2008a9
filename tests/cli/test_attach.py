"""Ctrl-C at the terminal that watches: once gently, twice at once, three times we leave."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evener import state
from evener.cli.attach import STOPPING, STOPPING_NOW, Interrupts, attend
from evener.rundir.layout import RunDir
from evener.watch import Glance
from tests.synthetic_run import FakeLauncher, Script, records

TOLD = tuple(records(Script(steps=20)))
GOING = Glance(state.fold(TOLD[:30]))
OVER = Glance(state.fold(TOLD))
RUN = RunDir(Path("demo"))


class Notebook:
    """A view that writes down what it is given."""

    def __init__(self) -> None:
        self.shown: list[Glance] = []
        self.said: list[str] = []
        self.inside = False

    def __enter__(self) -> Notebook:
        self.inside = True
        return self

    def __exit__(self, *reason: object) -> None:
        self.inside = False

    def show(self, glance: Glance) -> None:
        assert self.inside
        self.shown.append(glance)

    def say(self, text: str) -> None:
        self.said.append(text)


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def pressed_meanwhile() -> None:
    press()
    time.sleep(10)


def script(*steps: Callable[[], None] | Glance) -> Iterator[Glance]:
    """Glances, and what happens between them."""
    for step in steps:
        if isinstance(step, Glance):
            yield step
        else:
            step()


def attended(*steps: Callable[[], None] | Glance) -> tuple[FakeLauncher, Notebook]:
    launcher, view = FakeLauncher(), Notebook()
    with Interrupts() as interrupts:
        last = attend(RUN, view, launcher, script(*steps), interrupts)
    assert last.phase == view.shown[-1].state.phase
    return launcher, view


def test_without_an_interrupt_nothing_is_asked_of_the_launcher() -> None:
    launcher, view = attended(GOING, GOING, OVER)
    assert launcher.stops == []
    assert view.shown == [GOING, GOING, OVER]
    assert not view.inside


def test_ctrl_c_once_stops_gently_and_says_so() -> None:
    launcher, view = attended(GOING, press, GOING, GOING, OVER)
    assert launcher.stops == [False]
    assert view.said == [STOPPING]


def test_ctrl_c_twice_stops_at_once() -> None:
    launcher, view = attended(GOING, press, GOING, press, GOING, OVER)
    assert launcher.stops == [False, True]
    assert view.said == [STOPPING, STOPPING_NOW]


def test_two_presses_between_two_looks_are_two() -> None:
    launcher, _ = attended(GOING, press, press, GOING, OVER)
    assert launcher.stops == [False, True]


def test_sigterm_is_ctrl_c() -> None:
    launcher, _ = attended(GOING, lambda: press(signal.SIGTERM), GOING, OVER)
    assert launcher.stops == [False]


def test_a_run_that_is_over_is_not_stopped() -> None:
    launcher, view = attended(GOING, press, OVER)
    assert launcher.stops == []
    assert view.said == []


def test_the_third_press_leaves() -> None:
    launcher, view = FakeLauncher(), Notebook()
    steps = script(GOING, press, GOING, press, GOING, press, GOING)
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        attend(RUN, view, launcher, steps, interrupts)
    assert launcher.stops == [False, True]
    assert not view.inside


def test_the_signals_are_given_back() -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with Interrupts() as interrupts:
        press()
        assert interrupts.count == 1
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_start_is_broken_off_at_once() -> None:
    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt), interrupts.breaking_off():
        pressed_meanwhile()


def test_a_press_that_the_start_swallowed_stops_what_was_started() -> None:
    launcher, view = FakeLauncher(), Notebook()
    with Interrupts() as interrupts:
        with interrupts.breaking_off(), contextlib.suppress(KeyboardInterrupt):
            pressed_meanwhile()
        attend(RUN, view, launcher, script(GOING, GOING, OVER), interrupts)
    assert launcher.stops == [False]
