"""What happened, in a sentence: the events that a person is told of, and how."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from evener import events
from evener.state import RunState
from evener.units import show_count, show_duration, show_size

KEPT = 100  # sentences a view keeps; no terminal shows more


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing told. `level` is "note", "good" or "warning"; a short view skips `quiet` ones."""

    time: float
    text: str
    level: str = "note"
    quiet: bool = False


class Story:
    """The last sentences of a run, in the order in which they were recorded."""

    def __init__(self) -> None:
        self._told: deque[Sentence] = deque(maxlen=KEPT)
        self._teller = Teller()

    def add(self, records: Iterable[events.Record]) -> None:
        for record in records:
            self._told.extend(self._teller.tell(record))

    def last(self, count: int) -> list[Sentence]:
        loud = [s for s in self._told if not s.quiet]
        return loud[-count:] if count > 0 else []


class Teller:
    """Tells records in their order: what happened, and what a loss has come to."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._members: tuple[int, ...] = ()
        self._lost = False  # one of them, and no step was taken since
        self._formed: events.GenerationFormed | None = None  # after that
        self._step, self._at = 0, 0.0  # the last one that was taken
        self._generation = -1

    def tell(self, record: events.Record) -> list[Sentence]:
        told = None if self._is_known(record.event) else tell(record)
        return [s for s in (told, self._recovery(record)) if s is not None]

    def _is_known(self, event: events.Event) -> bool:
        """A generation is told once, though more may become known of it (how long it will be)."""
        if not isinstance(event, events.GenerationFormed):
            return False
        known, self._generation = event.generation == self._generation, event.generation
        return known

    def _recovery(self, record: events.Record) -> Sentence | None:
        match record.event:
            case events.RunStarted():
                self._forget()
            case events.RankLost(rank=rank) if rank in self._members:
                self._lost = True
            case events.GenerationFormed() as formed:
                self._members = formed.ranks
                self._formed = formed if self._lost else None
            case events.StepCommitted(step=step, generation=generation):
                before, self._step, self._at = (self._step, self._at), step, record.time
                if self._formed is not None and generation >= self._formed.generation:
                    return self._told(self._formed, *before)
        return None

    def _told(self, formed: events.GenerationFormed, step: int, at: float) -> Sentence | None:
        """None where no step was taken before: nobody stood still."""
        self._lost, self._formed = False, None
        if not at:
            return None
        begins = formed.step if formed.step >= 0 else self._step - 1  # a script's shows afterwards
        gone = max(step - begins, 0)
        lost = "1 step" if gone == 1 else f"{gone} steps"
        verb = "goes on" if len(formed.ranks) == 1 else "go on"
        text = f"{ranks(formed.ranks)} {verb} after {max(self._at - at, 0.0):.1f} s; {lost} lost"
        return Sentence(self._at, text, "good")


def tell(record: events.Record) -> Sentence | None:
    """The sentence for `record`, or None where nothing worth a line happened."""
    teller = _TELLERS.get(type(record.event))
    told = teller(record.event) if teller else None
    if told is None:
        return None
    text, level, quiet = told
    return Sentence(record.time, " ".join(text.split()), level, quiet)


def number(value: float | None, digits: int = 4) -> str:
    """A measured number with `digits` figures: 1.842, 0.03125, 812.3, 3.14e-07; `?` for none."""
    if value is None:
        return "?"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    size = abs(value)
    if size < 1e-4 or size >= 1e6:
        return f"{value:.{digits - 1}g}"
    if size < 1:
        return f"{value:#.{digits}g}"
    return f"{value:.{max(digits - len(str(int(size))), 0)}f}"


def percent(fraction: float) -> str:
    return f"{fraction * 100:.1f} %"


def metric(name: str, value: float) -> str:
    """`accuracy 61.2 %`, `perplexity 6.72`."""
    if name.startswith(("accuracy", "top")):
        return f"{name} {percent(value)}"
    return f"{name} {number(value)}"


def metrics(values: dict[str, float]) -> str:
    return ", ".join(metric(name, value) for name, value in values.items())


def epoch(state: RunState) -> str:
    """`epoch 2 of 5`, counted from one, as people count."""
    total = math.ceil(state.total_steps / state.steps_per_epoch)
    return f"epoch {min(state.epoch + 1, max(total, 1))} of {max(total, 1)}"


def ranks(numbers: Sequence[int]) -> str:
    """`rank 0`, `ranks 0-3`, `ranks 0, 2, 5-7`."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    text = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return ("rank " if len(numbers) == 1 else "ranks ") + text


_Told = tuple[str, str, bool] | None


def _started(e: events.RunStarted) -> _Told:
    verb = "going on" if e.resumed else "started"
    many = f"{e.ranks} rank" + ("s" if e.ranks != 1 else "")
    return f"{verb}: {what(e.model, e.data, e.global_batch)}, {many}", "note", True


def what(model: str, data: str, global_batch: int, dot: str = ", ") -> str:
    """`gpt on text, batch 32`; of a script its name, and what else is known of it by now."""
    batch = [f"batch {global_batch}"] if global_batch else []
    return dot.join([f"{model} on {data}" if data else model, *batch])


def _data(e: events.DataPrepared) -> _Told:
    counts = f"{show_count(e.samples)} samples"
    if e.validation_samples:
        counts += f", {show_count(e.validation_samples)} for validation"
    return f"data ready: {counts} ({show_duration(e.seconds)})", "note", False


def _rank_started(e: events.RankStarted) -> _Told:
    if e.life == 0:
        return None
    return f"rank {e.rank} is back, as process {e.pid}", "good", False


def _rank_built(e: events.RankBuilt) -> _Told:
    threads = f"{e.threads} thread" + ("s" if e.threads != 1 else "")
    if not e.parameters:
        return None
    size = f"{show_count(e.parameters)} parameters"
    return f"rank {e.rank} built its model on {e.device} ({threads}, {size})", "note", True


def _rank_lost(e: events.RankLost) -> _Told:
    return f"rank {e.rank} lost: {e.reason}", "warning", False


def _rank_parked(e: events.RankParked) -> _Told:
    return f"rank {e.rank} stands aside from step {e.step}: {e.reason}", "note", False


def _rank_left_out(e: events.RankLeftOut) -> _Told:
    return f"rank {e.rank} is left out: {e.reason}", "warning", False


def _formed(e: events.GenerationFormed) -> _Told:
    verb = "trains" if len(e.ranks) == 1 else "train together"
    start = f" from step {e.step}" if e.step >= 0 else ""
    return f"{ranks(e.ranks)} {verb}{start}", "good", False


def _step(e: events.StepCommitted) -> _Told:
    if not e.skipped:
        return None
    return f"step {e.step} skipped: its gradients were not finite", "warning", False


def _shares(e: events.SharesChanged) -> _Told:
    """Quiet: where there is a table of ranks, it shows them."""
    cut = ", ".join(map(str, e.shares))
    return f"shares of {ranks(e.ranks)} from step {e.step}: {cut} ({e.reason})", "note", True


def _validated(e: events.Validated) -> _Told:
    more = f", {metrics(e.metrics)}" if e.metrics else ""
    best = ", the best so far" if e.best else ""
    text = f"validation at step {e.step}: loss {number(e.loss)}{more}{best}"
    return text, "good" if e.best else "note", False


def _sampled(e: events.TextSampled) -> _Told:
    return f"text at step {e.step}: {e.prompt}{e.text}", "note", True


def _written(e: events.CheckpointWritten) -> _Told:
    best = ", the best so far" if e.best else ""
    return f"checkpoint at step {e.step}: {show_size(e.size_bytes)}{best}", "note", False


def _home(e: events.CheckpointHome) -> _Told:
    return f"checkpoint at step {e.step}: on a second machine now", "note", True


def _exported(e: events.Exported) -> _Told:
    return f"model written to {e.path} ({show_size(e.size_bytes)})", "note", False


def _alert(e: events.Alert) -> _Told:
    named = e.rank is None or e.text.startswith(f"rank {e.rank} ")
    return (
        e.text if named else f"rank {e.rank}: {e.text}",
        "warning" if e.level == "warning" else "note",
        False,
    )


def _asked(e: events.StopAsked) -> _Told:
    return f"stopping: {e.reason}", "note", False


def _ended(e: events.RunEnded) -> _Told:
    """Why it was stopped was told when it was asked to; why it failed is told by the error."""
    level = {"finished": "good", "failed": "bad"}.get(e.outcome, "note")
    reason = f": {e.reason}" if e.reason and e.outcome == "finished" else ""
    return f"{e.outcome} at step {e.step}{reason}", level, False


def _machine_profiled(e: events.MachineProfiled) -> _Told:
    return f"machine of agent {e.agent} measured", "note", False


def _rank_profiled(e: events.RankProfiled) -> _Told:
    best = dict(zip(e.samples, e.seconds, strict=False)).get(e.micro_batch)
    speed = f"{show_count(e.micro_batch / best)} samples/s" if best else "measured"
    return f"rank {e.rank}: {speed}, {e.micro_batch} at once ({e.note})", "note", False


def _link_measured(e: events.LinkMeasured) -> _Told:
    size = show_size(e.bytes_per_s)
    return f"rank {e.from_rank} to rank {e.to_rank}: {size}/s", "note", False


_TELLERS: dict[type[Any], Callable[[Any], _Told]] = {
    events.RunStarted: _started,
    events.DataPrepared: _data,
    events.RankStarted: _rank_started,
    events.RankBuilt: _rank_built,
    events.RankLost: _rank_lost,
    events.RankParked: _rank_parked,
    events.RankLeftOut: _rank_left_out,
    events.GenerationFormed: _formed,
    events.StepCommitted: _step,
    events.SharesChanged: _shares,
    events.Validated: _validated,
    events.TextSampled: _sampled,
    events.CheckpointWritten: _written,
    events.CheckpointHome: _home,
    events.Exported: _exported,
    events.Alert: _alert,
    events.StopAsked: _asked,
    events.RunEnded: _ended,
    events.MachineProfiled: _machine_profiled,
    events.RankProfiled: _rank_profiled,
    events.LinkMeasured: _link_measured,
}
