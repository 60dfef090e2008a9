"""Runs as Prometheus reads them: its text format 0.0.4. Pure.

Every sample has the label `run`. Units are Prometheus's own: seconds, bytes, celsius, ratios of
one. What is not known has no sample. `grafana.json` beside this file draws what is told here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from evener.state import GpuView, LoadView, MachineView, Phase, RankView, RunState

Kind = Literal["gauge", "counter"]
Labels = tuple[tuple[str, str], ...]
Samples = Iterable[tuple[Labels, float | None]]
PARTS = ("data", "forward", "backward", "exchange", "wait", "optimizer")  # of a step
LEVELS = ("note", "warning")  # of an alert
_GONE = ("lost", "ended")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, what it means, and its samples in a run at a moment."""

    name: str
    help: str
    samples: Callable[[RunState, float], Samples]
    kind: Kind = "gauge"


def text(states: Iterable[RunState], now: float) -> str:
    """All of these runs, which have names of their own."""
    begun = [state for state in states if state.run]
    lines: list[str] = []
    for family in FAMILIES:
        found = (sample for state in begun for sample in family.samples(state, now))
        told = {labels: value for labels, value in found if value is not None}
        if told:
            lines.append(f"# HELP {family.name} {family.help}")
            lines.append(f"# TYPE {family.name} {family.kind}")
            lines += (f"{family.name}{_braced(of)} {_number(v)}" for of, v in told.items())
    return "".join(f"{line}\n" for line in lines)


def _braced(labels: Labels) -> str:
    """Names and texts come from people and models: nothing of them may end a label or a line."""
    told = (f'{name}="{_escaped(value)}"' for name, value in labels)
    return "{" + ",".join(told) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


# ------------------------------------------------------------------- whose a sample is


def _run(
    name: str,
    means: str,
    read: Callable[[RunState], float | None],
    kind: Kind = "gauge",
) -> Family:
    return Family(name, means, lambda state, now: [(_of(state), read(state))], kind)


def _rank(
    name: str,
    means: str,
    read: Callable[[RankView], float | None],
    kind: Kind = "gauge",
) -> Family:
    return Family(name, means, lambda s, now: ((of, read(r)) for of, r in _ranks(s)), kind)


def _machine(name: str, means: str, read: Callable[[MachineView], float | None]) -> Family:
    return Family(name, means, lambda s, now: ((of, read(m)) for of, m in _machines(s)))


def _load(
    name: str,
    means: str,
    read: Callable[[LoadView], float | None],
    kind: Kind = "gauge",
) -> Family:
    """Of a machine that has told how it fares, and still can."""

    def samples(state: RunState, now: float) -> Samples:
        loads = ((of, machine.load) for of, machine in _machines(state) if not machine.ended)
        return ((of, read(load)) for of, load in loads if load is not None)

    return Family(name, means, samples, kind)


def _gpu(name: str, means: str, read: Callable[[GpuView], float | None]) -> Family:
    return Family(name, means, lambda s, now: ((of, read(g)) for of, g in _gpus(s)))


def _of(state: RunState, **labels: str) -> Labels:
    return (("run", state.run), *labels.items())


def _ranks(state: RunState) -> Iterator[tuple[Labels, RankView]]:
    names = {machine.agent: machine.name for machine in state.machines}
    for rank in state.ranks:
        machine = names.get(rank.agent) or rank.agent
        yield _of(state, rank=str(rank.rank), agent=rank.agent, machine=machine), rank


def _machines(state: RunState) -> Iterator[tuple[Labels, MachineView]]:
    for machine in state.machines:
        name = machine.name or machine.agent
        yield _of(state, agent=machine.agent, machine=name), machine


def _gpus(state: RunState) -> Iterator[tuple[Labels, GpuView]]:
    for labels, machine in _machines(state):
        for gpu in machine.load.gpus if machine.load and not machine.ended else ():
            yield (*labels, ("uuid", gpu.uuid), ("gpu", gpu.name)), gpu


# ------------------------------------------------------------- what takes more than a field


def _info(state: RunState, now: float) -> Samples:
    """Not `job`: that label is Prometheus's own."""
    names = {"job_name": state.job, "model": state.model, "data": state.data}
    return [(_of(state, **names, place=state.place), 1)]


def _phase(state: RunState, now: float) -> Samples:
    return ((_of(state, phase=phase), int(phase == state.phase)) for phase in get_args(Phase))


def _elapsed(state: RunState, now: float) -> Samples:
    until = state.ended_at or now
    return [(_of(state), None if state.begun_at is None else max(until - state.begun_at, 0.0))]


def _metrics(state: RunState, now: float) -> Samples:
    return ((_of(state, name=name), v) for name, v in (state.metrics or {}).items())


def _validation_metrics(state: RunState, now: float) -> Samples:
    found = state.validation.metrics if state.validation else {}
    return ((_of(state, name=name), value) for name, value in found.items())


def _rank_info(state: RunState, now: float) -> Samples:
    return (((*of, ("device", rank.device)), 1) for of, rank in _ranks(state) if rank.device)


def _parts(state: RunState, now: float) -> Samples:
    for of, rank in _ranks(state):
        for part in PARTS:
            yield (*of, ("part", part)), _timed(rank, getattr(rank, f"{part}_s"))


def _share(rank: RankView) -> int:
    return rank.share if rank.state == "training" else 0


def _timed(rank: RankView, value: float) -> float | None:
    """Before its first report nothing of this is known."""
    return value if rank.last_step >= 0 else None


def _alerts(state: RunState, now: float) -> Samples:
    for level in LEVELS:
        yield _of(state, level=level), sum(alert.level == level for alert in state.alerts)


def _last_alert(state: RunState, now: float) -> Samples:
    for level in LEVELS:
        times = [alert.time for alert in state.alerts if alert.level == level]
        yield _of(state, level=level), max(times, default=None)


FAMILIES = (
    Family("evener_run_info", "What is trained, on what and where.", _info),
    Family("evener_run_phase", "1 for the phase the run is in.", _phase),
    _run("evener_run_start_time_seconds", "When it began the first time.", lambda s: s.started_at),
    _run("evener_run_end_time_seconds", "When it ended.", lambda s: s.ended_at),
    _run(
        "evener_run_last_event_time_seconds", "When it was last heard of.", lambda s: s.updated_at
    ),
    Family("evener_run_elapsed_seconds", "Since it began the last time, to its end.", _elapsed),
    _run("evener_run_remaining_seconds", "Steps to go at the present speed.", lambda s: s.eta_s),
    _run("evener_step", "The last step that was committed.", lambda s: s.step),
    _run("evener_planned_steps", "Steps of the whole run.", lambda s: s.total_steps or None),
    _run("evener_epoch", "Of the last step.", lambda s: s.epoch),
    _run("evener_samples_consumed", "Samples since the run began.", lambda s: s.cursor),
    _run("evener_global_batch_samples", "Samples in a step.", lambda s: s.global_batch),
    _run(
        "evener_skipped_steps_total",
        "Steps whose gradients were not finite.",
        lambda s: s.skipped_steps,
        "counter",
    ),
    _run("evener_generation", "Counted up when members change.", lambda s: s.generation),
    _run("evener_loss", "Of the last step.", lambda s: s.loss),
    _run("evener_smoothed_loss", "A moving mean of it.", lambda s: s.loss_smoothed),
    _run("evener_learning_rate", "Of the last step.", lambda s: s.lr),
    _run("evener_gradient_norm", "Of the last step, before clipping.", lambda s: s.grad_norm),
    Family("evener_metric", "Metrics of the last step.", _metrics),
    _run(
        "evener_validation_step",
        "The step that was validated last.",
        lambda s: s.validation.step if s.validation else None,
    ),
    _run(
        "evener_validation_loss",
        "Of the last validation.",
        lambda s: s.validation.loss if s.validation else None,
    ),
    Family("evener_validation_metric", "Metrics of the last validation.", _validation_metrics),
    _run("evener_samples_per_second", "All ranks together, now.", lambda s: s.samples_per_s),
    _run("evener_step_seconds", "A step takes so long now.", lambda s: s.step_s),
    _run(
        "evener_alone_samples_per_second",
        "The ranks' own speeds added up.",
        lambda s: s.alone_samples_per_s,
    ),
    _run(
        "evener_possible_samples_per_second",
        "What the best shares would come to.",
        lambda s: s.possible_samples_per_s,
    ),
    Family("evener_rank_info", "What a rank computes on.", _rank_info),
    _rank("evener_rank_up", "0 when it is lost or has ended.", lambda r: int(r.state not in _GONE)),
    _rank("evener_rank_step", "The last step it told of.", lambda r: _timed(r, r.last_step)),
    _rank("evener_rank_share", "Samples it takes of a step.", _share),
    _rank(
        "evener_rank_samples_per_second",
        "Its own speed, waiting left out.",
        lambda r: _timed(r, r.samples_per_s),
    ),
    Family("evener_rank_step_seconds", "Where the time of a step goes, by part.", _parts),
    _rank("evener_rank_whole_step_seconds", "A whole step of it.", lambda r: _timed(r, r.step_s)),
    _rank(
        "evener_rank_hidden_exchange_seconds",
        "Summing gradients while backward still computed.",
        lambda r: _timed(r, r.hidden_s),
    ),
    _rank(
        "evener_rank_memory_bytes",
        "Of its device, at the highest.",
        lambda r: _timed(r, r.memory_bytes),
    ),
    _rank("evener_rank_losses_total", "How often it was lost.", lambda r: r.losses, "counter"),
    _rank(
        "evener_rank_last_heard_time_seconds",
        "When it was last heard of.",
        lambda r: r.heard_at or None,
    ),
    _machine("evener_machine_up", "0 when its agent has ended.", lambda m: int(not m.ended)),
    _machine("evener_machine_cpus", "Processors it may use.", lambda m: m.cpus or None),
    _load("evener_machine_cpu_ratio", "Of these, how much was busy.", lambda o: o.cpu_share),
    _load("evener_machine_memory_bytes", "In use.", lambda o: o.memory_bytes),
    _load("evener_machine_memory_limit_bytes", "It may use.", lambda o: o.memory_limit_bytes),
    _load(
        "evener_machine_disk_read_bytes_per_second",
        "Read from its disks.",
        lambda o: o.disk_read_bytes_per_s,
    ),
    _load(
        "evener_machine_disk_write_bytes_per_second",
        "Written to its disks.",
        lambda o: o.disk_write_bytes_per_s,
    ),
    _load(
        "evener_machine_sent_bytes_per_second",
        "Sent to other machines.",
        lambda o: o.sent_bytes_per_s,
    ),
    _load(
        "evener_machine_received_bytes_per_second",
        "Received from other machines.",
        lambda o: o.received_bytes_per_s,
    ),
    _load("evener_machine_temperature_celsius", "Of its processor.", lambda o: o.temperature_c),
    _load(
        "evener_dropped_events_total",
        "Events that an agent had to drop: nobody took them.",
        lambda o: o.dropped,
        "counter",
    ),
    _gpu("evener_gpu_busy_ratio", "Of the last moments.", lambda g: g.busy_share),
    _gpu("evener_gpu_memory_bytes", "In use.", lambda g: g.memory_bytes),
    _gpu("evener_gpu_memory_limit_bytes", "There is.", lambda g: g.memory_limit_bytes),
    _gpu("evener_gpu_temperature_celsius", "Of the GPU.", lambda g: g.temperature_c),
    _gpu("evener_gpu_power_watts", "It takes.", lambda g: g.power_w),
    _gpu("evener_gpu_power_limit_watts", "It may take.", lambda g: g.power_limit_w),
    _run("evener_checkpoints", "That are on disk.", lambda s: len(s.checkpoints)),
    _run(
        "evener_checkpoint_last_step",
        "Where the newest one is.",
        lambda s: s.checkpoints[-1].step if s.checkpoints else None,
    ),
    _run(
        "evener_checkpoint_last_time_seconds",
        "When the newest one was written.",
        lambda s: s.checkpoints[-1].time if s.checkpoints else None,
    ),
    _run(
        "evener_checkpoint_last_size_bytes",
        "Of the newest one.",
        lambda s: s.checkpoints[-1].size_bytes if s.checkpoints else None,
    ),
    Family("evener_recent_alerts", "Of the last fifty, by level.", _alerts),
    Family("evener_alert_last_time_seconds", "When the last one was, by level.", _last_alert),
)
