"""A bench: what this rank, its machine and its links can do, measured in place of training.

All ranks measure their speed at the same time, in rounds, for so they will train: on one machine
they take memory and cores from each other. A rank that has found its size goes on computing until
the last one has. Nothing is learned, and nothing written but events.
"""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import asdict, dataclass, field
from time import perf_counter

import torch

from evener import contract
from evener.engine import memory
from evener.engine.rehearse import rehearse
from evener.engine.search import Search
from evener.engine.training import Training
from evener.events import LinkMeasured, MachineProfiled, RankProfiled
from evener.orders import Done, Formed
from evener.probe import probe
from evener.rank import device as devices
from evener.rank import hardware, links
from evener.rank.group import Group

ROUND_S, LONGEST_ROUND_S = 0.4, 6.0
BUDGET_S = 40.0  # for all rounds together
OPTIMIZER_STEPS = 5


class Called(Exception):  # noqa: N818  (an occurrence, not a defect)
    """All ranks heard in the same meeting that somebody wants to stop, or to join."""

    def __init__(self, done: Done | None) -> None:
        super().__init__("called away")
        self.done = done


def measure(training: Training, group: Group) -> Done | None:
    """What `loop` does in each generation of a bench, in place of steps."""
    training.link.say(Formed(group.generation.ballot, training.worker.step))
    try:
        Bench(training, group).run()
    except Called as called:
        return called.done
    return Done("finished", 0)


@dataclass(slots=True)
class Bench:
    """The measuring of one generation."""

    training: Training
    group: Group
    memory_before: int = 0
    memory_limit: float = float("inf")
    began: float = field(default_factory=perf_counter)

    def run(self) -> None:
        self._tell_speed(self._rounds())
        self._machine()  # after it, for it leaves its mark on the memory
        for one, other in itertools.combinations(range(self.group.size), 2):
            self._meet(0.0)
            self._link(one, other)
        self._meet(0.0)  # nobody is done before all have told what they found

    def _meet(self, own: float) -> list[float]:
        """Wait for all; everybody's number. Tells what there is to tell."""
        link, size = self.training.link, self.group.size
        self.training.reporter.flush(0)
        notes = torch.zeros(size + 2, dtype=torch.float64)
        notes[self.group.index] = own
        notes[-2], notes[-1] = link.stop_asked is not None, link.halt_asked
        *numbers, stop, pause = self.group.sum(notes).tolist()
        if stop or pause:
            raise Called(Done("stopped", 0) if stop else None)
        return numbers

    # -------------------------------------------------------------------------- the rank

    def _rounds(self) -> Search:
        """Each round every rank repeats its own size for the same time."""
        total = self.training.job.train.global_batch
        search = Search(total, math.ceil(total / self.group.size))
        self.memory_limit = memory.limit_bytes(self.training, self.group)
        self.began, self.memory_before = perf_counter(), memory.peak_bytes(self.training)
        while any(wanted := self._meet(0.0 if search.over else max(search.expected_s, 1e-9))):
            span_s = min(max(ROUND_S, 1.5 * max(wanted)), LONGEST_ROUND_S)
            self._round(search, span_s)
        return search

    def _round(self, search: Search, span_s: float) -> None:
        try:
            took_s = self._typical_s(search.size, span_s)
        except memory.FAILURES as error:
            if search.over or not search.points or not memory.is_full(error):
                raise
            search.give_up("there is no memory for more")
            return
        if not search.over:
            search.take(took_s)
            self._look_ahead(search)

    def _typical_s(self, samples: int, span_s: float) -> float:
        """The median of what fits into the time. The first call is not counted: it makes room,
        chooses kernels, compiles."""
        until = perf_counter() + span_s
        first_s = self._once(samples)
        times: list[float] = []
        while not times or perf_counter() < until:
            if perf_counter() >= until and not self.training.job.train.compile:
                return first_s
            times.append(self._once(samples))
        return statistics.median(times)

    def _once(self, samples: int) -> float:
        worker, size = self.training.worker, self.training.cutting(self.group.size).size
        return rehearse(worker, self.training.data.train, samples, size)

    def _look_ahead(self, search: Search) -> None:
        """Whether there is time and memory for twice as many samples."""
        if perf_counter() - self.began + 3 * search.expected_s > BUDGET_S:
            search.give_up("larger sizes would take too long to measure")
        peak = memory.peak_bytes(self.training)
        if peak + (peak - self.memory_before) > memory.MOST * self.memory_limit:
            search.give_up("there is no memory for more")

    def _tell_speed(self, search: Search) -> None:
        speed, worker = search.speed, self.training.worker
        self.training.reporter.emit(
            RankProfiled(
                rank=self.training.rank,
                micro_batch=search.best,
                samples=tuple(n for n, _ in search.points),
                seconds=tuple(t for _, t in search.points),
                fixed_s=speed.fixed_s + self._optimizer_s(),
                per_sample_s=speed.per_sample_s,
                parameters=sum(p.numel() for p in worker.parameters),
                memory_bytes=memory.peak_bytes(self.training),
                note=search.over,
            )
        )

    def _optimizer_s(self) -> float:
        """What a step costs besides its samples. It moves nothing: the rate is zero."""
        worker = self.training.worker
        for parameter in worker.parameters:
            parameter.grad = torch.zeros_like(parameter)
        (moving,) = worker.moving
        for group in moving.optimizer.param_groups:
            group["lr"] = 0.0
        times = []
        for _ in range(OPTIMIZER_STEPS + 1):
            began = perf_counter()
            torch.nn.utils.get_total_norm([p.grad for p in worker.parameters if p.grad is not None])
            moving.optimizer.step()
            devices.synchronize(worker.device)
            times.append(perf_counter() - began)
        return statistics.median(times[1:])

    # ------------------------------------------------------------------------ the machine

    def _machine(self) -> None:
        """One rank of each machine measures it, with the threads of all that are there."""
        threads = self._meet(torch.get_num_threads())
        here = memory.neighbours(self.group)
        if here[0] != self.group.index:
            return
        of_all = max(1, int(min(sum(threads[i] for i in here), probe().cpus)))
        folder = contract.cache_folder() / "bench"
        found = hardware.measure(self.training.worker.device, of_all, folder)
        agent = self.group.generation.members[self.group.index].agent
        self.training.reporter.emit(MachineProfiled(agent, **asdict(found)))

    # -------------------------------------------------------------------------- the links

    def _link(self, one: int, other: int) -> None:
        members = self.group.generation.members
        if self.group.index == other:
            links.answer(self.group, one)
        elif self.group.index == one:
            found = links.measure(self.group, other)
            a, b = members[one].rank, members[other].rank
            there = LinkMeasured(a, b, found.there_bytes_per_s, found.latency_s)
            self.training.reporter.emit(there)
            back = LinkMeasured(b, a, found.back_bytes_per_s, found.latency_s)
            self.training.reporter.emit(back)
