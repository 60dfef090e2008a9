"""The moving picture: the view of a run on a terminal that a person watches."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from evener.cli import console as terminal
from evener.cli.render import Canvas, picture
from evener.cli.trails import Trails
from evener.state import EMPTY
from evener.watch import Glance
from evener.words import Story

HINT = "Ctrl-C stops with a checkpoint"


class Moving:
    """Redraws only what changed since the last look; the last picture stays on the screen."""

    def __init__(
        self, console: Console, *, hint: str = HINT, clock: Callable[[], float] = time.time
    ) -> None:
        self._console = console
        self._clock = clock
        self._marks = terminal.marks_of(console)
        self._live = Live(
            console=console,
            auto_refresh=False,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._story = Story()
        self._trails = Trails()
        self._hint = hint
        self._state = EMPTY
        self._drawn: list[Text] = []

    def __enter__(self) -> Moving:
        self._live.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, glance: Glance) -> None:
        self._story.add(glance.records)
        self._trails.add(glance.records)
        self._state = glance.state
        if glance.over:
            self._hint = ""
        self._draw()

    def say(self, text: str) -> None:
        self._hint = text
        self._draw()

    def _draw(self) -> None:
        size = self._console.size
        canvas = Canvas(size.width, self._marks, size.height - 1)
        told = self._story.last(size.height)
        now = self._clock()
        lines = picture(self._state, told, canvas, now, self._hint, self._trails)
        if lines != self._drawn:
            self._drawn = lines
            self._live.update(Text("\n", no_wrap=True).join(lines), refresh=True)
