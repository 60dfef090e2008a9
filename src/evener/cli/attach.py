"""The terminal that started a run: it shows, it passes Ctrl-C on, and the run does not need it."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, Protocol

from evener import watch
from evener.cli import console
from evener.cli.lines import JsonLines, Lines
from evener.cli.live import HINT, Moving
from evener.launch.base import Launcher
from evener.rundir.layout import RunDir
from evener.state import EMPTY, RunState
from evener.watch import Glance

STOPPING = "stopping with a checkpoint; Ctrl-C again stops at once"
STOPPING_NOW = "stopping at once"


class View(Protocol):
    """A way to show a run. Entered before the first glance, left after the last."""

    def __enter__(self) -> View: ...

    def __exit__(self, *reason: object) -> None: ...

    def show(self, glance: Glance) -> None: ...

    def say(self, text: str) -> None:
        """A sentence about this terminal's own doing."""


def view(as_json: bool, hint: str = HINT) -> View:
    """The one that suits what is at the other end: a program, a person, or a file."""
    if as_json:
        return JsonLines(sys.stdout)
    screen = console.out()
    return Moving(screen, hint=hint) if console.is_live(screen) else Lines(sys.stdout)


class Interrupts:
    """Counts Ctrl-C and SIGTERM while it is entered, instead of ending this process.

    The third one ends this process after all: a person must always be able to leave.
    """

    def __init__(self) -> None:
        self.count = 0
        self._raising = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *reason: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def breaking_off(self) -> Iterator[None]:
        """Meanwhile the first one ends what is done. It is counted all the same: Python may lose
        an exception that comes while it clears up, and then the run that was started is stopped.
        """
        self._raising = True
        try:
            yield
        finally:
            self._raising = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._raising or self.count > 2:
            raise KeyboardInterrupt


def attend(
    run: RunDir,
    view: View,
    launcher: Launcher,
    glances: Iterable[Glance],
    interrupts: Interrupts,
    *,
    gently: bool = True,
) -> RunState:
    """Show the run until it is over; the first interrupt stops it gently, the second at once.
    Where it has nothing to keep, the first one does."""
    state = EMPTY
    passed_on = 0
    with view:
        for glance in glances:
            state = glance.state
            view.show(glance)
            while passed_on < interrupts.count and not glance.over:
                passed_on += 1
                at_once = passed_on > 1 or not gently
                view.say(STOPPING_NOW if at_once else STOPPING)
                launcher.stop(run, now=at_once)
    return state


def follow(run: RunDir, view: View, launcher: Launcher, interrupts: Interrupts) -> RunState:
    return attend(run, view, launcher, watch.follow(run, launcher), interrupts)
