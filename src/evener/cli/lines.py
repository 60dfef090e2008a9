"""A run as lines of text, where nobody watches a moving picture: a pipe, a file, a CI log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TextIO

from evener import events, words
from evener.cli import console
from evener.state import RunState
from evener.units import show_duration
from evener.watch import Glance

EVERY_S = 2.0


class Lines:
    """One line per notable event, and one per EVERY_S while steps are made."""

    def __init__(
        self, stream: TextIO, *, every_s: float = EVERY_S, clock: Callable[[], float] = time.time
    ) -> None:
        self._stream = stream
        self._every_s = every_s
        self._clock = clock
        self._next = 0.0
        self._step = 0
        self._teller = words.Teller()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *reason: object) -> None:
        self._stream.flush()

    def show(self, glance: Glance) -> None:
        for record in glance.records:
            if isinstance(record.event, events.RunEnded):
                self._progress(glance.state, record.time)
            self._tell(record)
        now = self._clock()
        if not glance.over and now >= self._next:
            self._progress(glance.state, now)
        self._stream.flush()

    def _progress(self, state: RunState, now: float) -> None:
        """Where the steps are, if they moved."""
        if state.step > self._step:
            self._line(now, progress(state))
            self._step = state.step
            self._next = now + self._every_s

    def say(self, text: str) -> None:
        self._line(self._clock(), text)
        self._stream.flush()

    def _tell(self, record: events.Record) -> None:
        if isinstance(record.event, events.TextSampled):
            self._line(record.time, f"text at step {record.event.step}:")
            for line in (record.event.prompt + record.event.text).splitlines():
                self._stream.write(f"          {console.clean(line)}\n")
            return
        for sentence in self._teller.tell(record):
            mark = "warning: " if sentence.level == "warning" else ""
            self._line(record.time, mark + sentence.text)

    def _line(self, when: float, text: str) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(when))
        self._stream.write(f"{clock}  {console.clean(text)}\n")


class JsonLines:
    """Every event as one line of JSON, for programs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *reason: object) -> None:
        self._stream.flush()

    def show(self, glance: Glance) -> None:
        for record in glance.records:
            self._stream.write(json.dumps(events.to_dict(record)) + "\n")
        self._stream.flush()

    def say(self, text: str) -> None:
        console.note(text)


def progress(state: RunState) -> str:
    """`step 120/500  epoch 3  loss 1.842  812 samples/s  3 min 20 s to go`."""
    parts = [f"step {state.step}" + (f"/{state.total_steps}" if state.total_steps else "")]
    if state.steps_per_epoch:
        parts.append(words.epoch(state))
    if state.loss is not None:
        parts.append(f"loss {words.number(state.loss)}")
    parts += [words.metric(name, value) for name, value in (state.metrics or {}).items()]
    if state.lr is not None:
        parts.append(f"lr {state.lr:.3g}")
    if state.samples_per_s:
        parts.append(f"{words.number(state.samples_per_s, 3)} samples/s")
    if state.eta_s:
        parts.append(f"{show_duration(state.eta_s)} to go")
    return "  ".join(parts)
