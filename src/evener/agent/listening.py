"""What a script says of itself, followed as it is written, and the events that it makes.

Its first rank prints, and may write event files for TensorBoard. Where it prints no loss of its
own, the one in those files tells how far it is.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from evener.agent import boards, numbers
from evener.agent.boards import Boards
from evener.agent.numbers import Course, Line
from evener.config.schema import Job
from evener.events import (
    Alert,
    Event,
    GenerationFormed,
    ScalarsWritten,
    StepCommitted,
    Validated,
)
from evener.membership import Generation
from evener.rundir.layout import RunDir
from evener.rundir.tfscalars import Scalars

LOOK_S = 0.25
PIECE_BYTES = 2**18
LINE_CHARACTERS = 200
MOST_EVENTS = 200  # of one look; of more lines than these the last ones are told
UNKNOWN = -1  # the step a script goes on from, until it prints one
FORMED_S = 1.0  # for the word of all other ranks' starts to be with the head


class Listener:
    """Of the agent whose rank comes first; it is silent at all others."""

    def __init__(self, job: Job, run: RunDir, emit: Callable[[Event], None]) -> None:
        self._run, self._emit = run, emit
        self._wanted = numbers.pattern(job.script.pattern)
        self._every = job.log.every_steps
        self.step = 0
        self._epoch = self._total = 0
        self._best = math.inf
        self._generation: Generation | None = None
        self._number = 0  # of the generation, as the record has it
        self._form_at = math.inf
        self._course = Course()
        self._boards = Boards(Path(os.path.normpath(run.configs / job.script.folder)))
        self._shown: list[Path] = []  # folders of such files that were told of
        self._prints = False  # losses of its own
        self._log: Path | None = None
        self._at, self._rest = 0, b""
        self._look_at = self._looked_at = 0.0
        self._told: tuple[int, float] | None = None  # the step told last in this generation, when
        self._metrics: dict[str, float] = {}
        self._lr = math.nan

    def begin(self, generation: Generation | None, now: float) -> None:
        """From now on what that generation's first rank prints, unless it is another agent's."""
        self.finish(now)  # the last words of those who were killed
        self._generation, self._log, self._prints = generation, None, False
        self._boards.begin()
        if generation is None:
            return
        self._log = self._run.rank_log(generation.ranks[0])
        self._at = self._log.stat().st_size if self._log.exists() else 0
        self._rest, self._course, self._told = b"", Course(), None
        self._looked_at = now
        # Even: the group stands. Odd: it has gone back to a checkpoint of its own.
        self._number, self._form_at = 2 * generation.ballot.number, now + FORMED_S

    def listen(self, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        if self._log is not None:
            self._read_boards(self._boards.look(now), now)
        if now >= self._form_at:
            self._formed()
        lines = self._lines()
        read = [line for text in lines if (line := numbers.read(text, self._wanted))]
        before, self._looked_at = self._looked_at, now
        for number, line in enumerate(read, 1):  # when each was printed nobody knows: evenly
            if number > len(read) - MOST_EVENTS:
                self._hear(line, before + (now - before) * number / len(read))

    def finish(self, now: float) -> None:
        """Nothing more will be printed."""
        if self._log is None:
            return
        self._look_at = 0.0
        self.listen(now)
        self._read_boards(self._boards.last(), now)
        if self._form_at < math.inf:
            self._formed()
        self._log = None

    def unheard(self) -> str:
        """Where no number was found, from the first to the last line: what that one was."""
        if self.step or self._shown or self._generation is None:
            return ""
        text = ""
        log = self._run.rank_log(self._generation.ranks[0])
        with contextlib.suppress(OSError), log.open("rb") as file:
            file.seek(max(log.stat().st_size - PIECE_BYTES, 0))
            text = file.read().decode(errors="replace").rstrip()
        last = text.splitlines()[-1].strip() if text else ""
        said = f"; its last line: {last[:LINE_CHARACTERS]}" if last else ", for there was nothing"
        return f"no numbers were found in what the script printed{said}"

    def _lines(self) -> list[str]:
        """Whole ones; a carriage return ends one too, as progress bars write it."""
        if self._log is None:
            return []
        piece = b""
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            file.seek(self._at)
            piece = file.read(PIECE_BYTES)
        self._at += len(piece)
        *whole, self._rest = (self._rest + piece).replace(b"\r", b"\n").split(b"\n")
        self._rest = self._rest[-PIECE_BYTES:]
        return [line.decode(errors="replace") for line in whole if line]

    def _formed(self) -> None:
        assert self._generation is not None
        self._form_at = math.inf
        ranks, back = self._generation.ranks, self._number % 2
        step = self.step if back else UNKNOWN
        self._emit(GenerationFormed(self._number, ranks, step, ranks[0], self._total, 0))

    def _hear(self, line: Line, now: float) -> None:
        self._epoch = self._epoch if line.epoch is None else line.epoch
        self._lr = self._lr if line.lr is None else line.lr
        step = self._course.count(line)
        if line.total is not None and line.total != self._total and step <= line.total:
            self._total = line.total
            self._form_at = min(self._form_at, now)
        if any("loss" in name for name in line.held_out):
            self._validated(step, line.held_out)
        else:  # `eval_interval = 250` measures nothing
            self._metrics |= line.held_out
        self._metrics |= line.others
        if line.loss is not None or (line.step is not None and line.others):
            self._prints = True
            self._commit(step, math.nan if line.loss is None else line.loss, now)

    def _read_boards(self, found: Sequence[Scalars], now: float) -> None:
        for folder in self._boards.folders:
            if not any(folder.is_relative_to(shown) for shown in self._shown):
                self._shown.append(folder)
                self._emit(Alert("note", boards.told_of(folder, self._run)))
        newest = max((scalars.time for scalars in found), default=0.0)
        for scalars in found:
            values = dict(scalars.values)
            loss = None if self._prints else numbers.loss_among(values)
            if loss is not None:  # files are flushed now and then: when it was written counts
                ago_s = newest - scalars.time
                self._commit(scalars.step, values.pop(loss), now - ago_s)
            if values:
                self._emit(ScalarsWritten(scalars.step, values))

    def _commit(self, step: int, loss: float, now: float) -> None:
        told = self._told
        if told is None and 0 < self.step >= step:  # the same one again: it went back to before
            self._number += 1
            self.step, self._form_at = step, now
        if now >= self._form_at:
            self._formed()
        if told is not None and step <= told[0]:
            return
        seconds = (now - told[1]) / (step - told[0]) if told is not None else 0.0
        self._told, self.step = (step, now), max(step, self.step)
        self._emit(
            StepCommitted(
                step=step,
                epoch=self._epoch,
                cursor=0,
                loss=loss,
                count=0.0,
                samples=0,
                lr=self._lr,
                grad_norm=None,
                seconds=seconds,
                generation=self._number,
                metrics=self._metrics,
            )
        )
        self._metrics = {}

    def _validated(self, step: int, found: dict[str, float]) -> None:
        named = {name: value for name, value in found.items() if "loss" in name}
        loss = next(iter(named.values()))
        others = {n: v for n, v in found.items() if n not in named}
        best = loss < self._best
        self._best = min(self._best, loss) if best else self._best
        self._emit(Validated(step, self._epoch, loss, 0.0, others, 0.0, best))
