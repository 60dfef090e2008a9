"""What is shown of a run: frozen values, and the same as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any, Literal

Phase = Literal["starting", "training", "stopping", "finished", "stopped", "failed"]
RankPhase = Literal["starting", "built", "training", "parked", "lost", "ended"]
ENDED: tuple[Phase, ...] = ("finished", "stopped", "failed")


@dataclass(frozen=True, slots=True)
class RankView:
    """One rank as last heard of. Times are means over the steps of its last report."""

    rank: int
    agent: str = ""
    life: int = 0
    pid: int = 0
    device: str = ""
    threads: int = 0
    state: RankPhase = "starting"
    share: int = 0
    samples_per_s: float = 0.0
    last_step: int = -1
    data_s: float = 0.0
    forward_s: float = 0.0
    backward_s: float = 0.0
    exchange_s: float = 0.0
    optimizer_s: float = 0.0
    step_s: float = 0.0
    memory_bytes: int = 0
    losses: int = 0  # how often the rank was lost
    lost_reason: str = ""
    heard_at: float = 0.0
    hidden_s: float = 0.0
    wait_s: float = 0.0
    predicted_s: float = 0.0  # 0: not known
    fixed_s: float = 0.0  # n samples cost it fixed_s + n * per_sample_s; 0 and 0: not known
    per_sample_s: float = 0.0
    parked_reason: str = ""


@dataclass(frozen=True, slots=True)
class GpuView:
    """One GPU at the last look. None: it does not say."""

    uuid: str
    name: str = ""
    busy_share: float | None = None  # of the last moments in which it computed anything
    memory_bytes: float | None = None
    memory_limit_bytes: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None


@dataclass(frozen=True, slots=True)
class LoadView:
    """A machine at the last look; rates are since the look before. None: it does not say."""

    time: float
    cpu_share: float | None = None  # of the processors it may use
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    disk_read_bytes_per_s: float | None = None
    disk_write_bytes_per_s: float | None = None
    sent_bytes_per_s: float | None = None  # to other machines
    received_bytes_per_s: float | None = None
    temperature_c: float | None = None  # of the processor
    gpus: tuple[GpuView, ...] = ()
    dropped: int = 0  # events of it that nobody took, ever


@dataclass(frozen=True, slots=True)
class MachineView:
    """One agent's machine."""

    agent: str
    name: str = ""
    system: str = ""
    cpus: float = 0.0
    cpu_name: str = ""
    memory_bytes: int = 0
    devices: tuple[str, ...] = ()
    ended: bool = False
    load: LoadView | None = None


@dataclass(frozen=True, slots=True)
class ValidationView:
    """One pass over the validation set."""

    step: int
    epoch: int
    loss: float
    metrics: dict[str, float]
    best: bool


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """One checkpoint that is on disk."""

    step: int
    path: str
    size_bytes: int
    best: bool
    metric: float | None
    time: float
    home: bool = False  # on the head's machine too, which is another one


@dataclass(frozen=True, slots=True)
class TextView:
    """What the model wrote."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True, slots=True)
class AlertView:
    """Something a person should know."""

    time: float
    level: str
    text: str
    rank: int | None


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything views need. Times are seconds since the epoch by the reporters' clocks."""

    phase: Phase = "starting"
    run: str = ""
    job: str = ""
    model: str = ""
    data: str = ""
    place: str = ""
    ranks_asked: int = 0
    agents_asked: int = 0
    global_batch: int = 0
    resumed: bool = False
    started_at: float | None = None  # the first time
    begun_at: float | None = None  # the last time: differs when the run was resumed
    ended_at: float | None = None
    updated_at: float | None = None

    samples: int = 0  # of the training set
    validation_samples: int = 0
    parameters: int = 0
    step: int = 0
    total_steps: int = 0
    epoch: int = 0
    steps_per_epoch: int = 0
    cursor: int = 0  # samples consumed
    generation: int = -1
    lead: int = -1
    skipped_steps: int = 0

    loss: float | None = None
    loss_smoothed: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    metrics: dict[str, float] | None = None  # of the last step
    samples_per_s: float | None = None
    step_s: float | None = None
    # At the last look at who takes how long: together since the look before it, the ranks' own
    # speeds added up, and what the best shares would come to.
    measured_samples_per_s: float | None = None
    alone_samples_per_s: float | None = None
    possible_samples_per_s: float | None = None
    eta_s: float | None = None
    validation: ValidationView | None = None
    best_validation: ValidationView | None = None

    ranks: tuple[RankView, ...] = ()  # by number
    machines: tuple[MachineView, ...] = ()  # by agent
    checkpoints: tuple[CheckpointView, ...] = ()
    loss_tail: tuple[tuple[int, float], ...] = ()  # (step, loss)
    validations: tuple[ValidationView, ...] = ()
    texts: tuple[TextView, ...] = ()
    alerts: tuple[AlertView, ...] = ()
    speeds: tuple[tuple[int, float], ...] = ()  # (samples, seconds) of the last commits

    stop_reason: str = ""
    reason: str = ""  # of the end
    error: dict[str, Any] | None = None
    exported: str = ""

    @property
    def ended(self) -> bool:
        return self.phase in ENDED

    @property
    def is_torchrun(self) -> bool:
        """Whether a script does all of it, its checkpoints too: nothing is known of its data."""
        return bool(self.model) and not self.data


EMPTY = RunState()
_VIEWS: tuple[type[Any], ...] = (
    RunState, RankView, MachineView, LoadView, GpuView, ValidationView, CheckpointView, TextView,
    AlertView,
)  # fmt: skip
_NAMES = {view: tuple(f.name for f in fields(view)) for view in _VIEWS}


def to_dict(state: RunState, without: Collection[str] = ()) -> dict[str, Any]:
    """Plain JSON values; what is not a number (nan, infinity) is None, as JSON has no word.
    Fields `without` are left out, and cost nothing."""
    names = (name for name in _NAMES[RunState] if name not in without)
    return {name: _plain(getattr(state, name)) for name in names}


def _plain(value: Any) -> Any:
    names = _NAMES.get(type(value))
    if names is not None:  # by hand: `asdict` copies every value, which a thousand ranks feel
        return {name: _plain(getattr(value, name)) for name in names}
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
