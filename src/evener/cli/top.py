"""`evener top`: one run on the whole terminal while somebody looks; leaving stops nothing."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.text import Text

from evener import errors, watch
from evener.cli import console as terminal
from evener.cli import keys, options, runs
from evener.cli.attach import Interrupts
from evener.cli.keys import Keys
from evener.cli.render import Canvas
from evener.cli.screen import Look, Sight, chosen, pressed, screen
from evener.cli.trails import Trails
from evener.errors import BadCommand
from evener.rundir.layout import RunDir
from evener.state import EMPTY, RunState
from evener.watch import Glance
from evener.words import Story

app = options.verb_app()
EVERY_S = 0.2  # five pictures a second are a moving one; a slow line carries them
LOG_BYTES = 1 << 15  # of the end of a log: more lines than any terminal has
LEAVING = ("q", "Q", keys.GONE)


@app.command()
def top(run: options.RunName = None, root: options.Root = None) -> None:
    """Watch one run full screen: its curves, ranks, machines and events as they come.

    Leaving it with q or Ctrl-C stops nothing: the run goes on.
    """
    wide = terminal.out()
    if not terminal.is_live(wide):
        raise BadCommand(
            "`evener top` fills a terminal, and standard output is none that can be drawn on",
            where="evener top",
            fix="`evener status -f` shows the same run line by line",
        )
    found = runs.resolve(run, root)
    state = _watched(found, wide)
    if state.error:
        terminal.print_error(errors.from_dict(state.error))
    elif not state.ended:
        terminal.note(f"{found.name} goes on; `evener stop {found.name}` ends it")


def _watched(run: RunDir, console: Console) -> RunState:
    """The state when the person left."""
    with (
        Interrupts() as interrupts,
        keys.opened() as typed,
        Full(run, console, typed, interrupts) as full,
        contextlib.suppress(KeyboardInterrupt),
    ):
        glances = watch.follow(run, sleep=full.pause)
        with interrupts.breaking_off():
            full.show(next(glances))  # the longest look: all that happened before
        for glance in glances:
            full.show(glance)
        while True:
            full.pause(EVERY_S)
    return full.state


class Full:
    """The whole terminal as the view of a run. Use it in a `with`: then the terminal comes back."""

    def __init__(
        self,
        run: RunDir,
        console: Console,
        typed: Keys,
        interrupts: Interrupts,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = EMPTY
        self._run, self._console, self._typed = run, console, typed
        self._interrupts, self._clock = interrupts, clock
        self._live = Live(
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._marks = terminal.marks_of(console)
        self._story, self._trails, self._look = Story(), Trails(), Look()
        self._hint = f"reading the record of {run.name}"
        self._drawn: tuple[ConsoleDimensions, list[Text]] | None = None
        self._next = clock()

    def __enter__(self) -> Full:
        self._live.__enter__()
        self._draw()
        return self

    def __exit__(self, *reason: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, glance: Glance) -> None:
        if self._hint:
            self._trails.begin(glance.state, glance.records)
            self._hint = ""
        self._story.add(glance.records)
        self._trails.add(glance.records)
        self.state = glance.state
        self._draw()

    def pause(self, seconds: float) -> None:
        """Wait so long, and do what is typed meanwhile. Whoever leaves, however, interrupts it:
        KeyboardInterrupt."""
        end = self._clock() + seconds
        while True:
            self._draw()
            key = self._typed.read(max(end - self._clock(), 0.0))
            if key in LEAVING or self._interrupts.count:
                raise KeyboardInterrupt
            self._look = pressed(self._look, key, self.state)
            if self._clock() >= end:
                return

    def _draw(self) -> None:
        """What has changed, and not more often than a slow line carries."""
        if self._clock() < self._next:
            return
        size = self._console.size
        picture = screen(self._sight(size.height), Canvas(size.width, self._marks, size.height))
        if (size, picture) != self._drawn:
            self._drawn = size, picture
            self._next = self._clock() + EVERY_S
            self._live.update(Text("\n", no_wrap=True, end="").join(picture), refresh=True)

    def _sight(self, height: int) -> Sight:
        rank = chosen(self._look, self.state) if self._look.log else None
        log = [] if rank is None else tail(self._run.rank_log(rank))
        told = self._story.last(height)
        return Sight(self.state, told, self._trails, log, self._look, time.time(), self._hint)


def tail(path: Path, size_bytes: int = LOG_BYTES) -> list[str]:
    """The last lines of a file, without the one whose beginning was not read; none of no file."""
    try:
        with path.open("rb") as file:
            start = max(file.seek(0, os.SEEK_END) - size_bytes, 0)
            file.seek(start)
            lines = file.read(size_bytes).decode(errors="replace").splitlines()
    except OSError:
        return []
    return lines[1:] if start else lines
