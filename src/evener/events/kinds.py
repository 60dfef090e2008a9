"""Every kind of event, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Union, get_args


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A launcher began the run, or went on with it."""

    run: str  # the name of its folder
    job: str  # the name in the job file, or else the run's
    model: str
    data: str
    ranks: int
    agents: int
    global_batch: int
    resumed: bool  # it went on with a run that was there
    place: str  # "local"


@dataclass(frozen=True, slots=True)
class MachineSeen:
    """An agent measured its machine."""

    agent: str
    machine: dict[str, Any]  # as cluster.Machine has it


@dataclass(frozen=True, slots=True)
class DataPrepared:
    """The data of the job is on the agent's machine."""

    agent: str
    samples: int
    validation_samples: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RankStarted:
    """A rank's process took its number and builds model and data."""

    agent: str
    rank: int
    life: int  # 0 for the first process of that number, then counted up
    pid: int


@dataclass(frozen=True, slots=True)
class RankBuilt:
    """A rank is ready to be a member."""

    rank: int
    device: str
    threads: int
    parameters: int  # 0: a script's, not known


@dataclass(frozen=True, slots=True)
class RankLost:
    """A rank's process ended before the run did, or its agent fell silent."""

    agent: str
    rank: int
    reason: str


@dataclass(frozen=True, slots=True)
class GenerationFormed:
    """The group stands: these ranks compute together from `step` on."""

    generation: int  # counted up whenever the members change
    ranks: tuple[int, ...]
    step: int  # the last one committed before; -1: not known, of a script's processes
    lead: int  # the rank that publishes: metrics, checkpoints
    total_steps: int  # 0: not known before the end
    steps_per_epoch: int  # likewise
    global_batch: int = 0  # samples of a step; 0: as the run's start said


@dataclass(frozen=True, slots=True)
class StepCommitted:
    """One optimizer step on one global batch. Sums over the batch are already divided."""

    step: int
    epoch: int
    cursor: int  # samples consumed since the run began
    loss: float  # the sum of the losses divided by count
    count: float  # what the loss sum was divided by: samples, tokens, pixels
    samples: int  # in this batch: the last of an epoch may be smaller
    lr: float
    grad_norm: float | None  # before clipping
    seconds: float
    generation: int
    metrics: dict[str, float] = field(default_factory=dict)
    skipped: bool = False  # non-finite gradients: counted, not applied


@dataclass(frozen=True, slots=True)
class RankTimed:
    """Where one rank's time went: means over the steps since its last report, in seconds."""

    rank: int
    step: int
    steps: int  # how many the means are over
    share: int  # samples it takes of a step
    samples_per_s: float  # its own speed: samples over the time it computed, waiting left out
    data_s: float  # waiting for samples
    forward_s: float
    backward_s: float
    exchange_s: float  # summing gradients, as far as backward did not hide it
    optimizer_s: float
    step_s: float
    memory_bytes: int  # at its highest
    hidden_s: float = 0.0  # summing gradients while backward still computed
    wait_s: float = 0.0  # for slower ranks
    predicted_s: float = 0.0  # what its own work was to take by its fitted speed; 0: not known
    # Of the time since its last report, where its system tells; null where it does not.
    cpu_share: float | None = None  # it computed, and had a processor: 1 is all of that time
    throttled_share: float | None = None  # its processor quota was used up
    major_faults_per_s: float | None = None  # memory of its own that was read from disk
    temperature_c: float | None = None  # of what it computes on


@dataclass(frozen=True, slots=True)
class SharesChanged:
    """From `step` on the global batch is cut so. Shares are in the order of `ranks`."""

    step: int
    ranks: tuple[int, ...]
    shares: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class SpeedsFitted:
    """A look at who takes how long: `n` samples cost a rank `fixed_s + n * per_sample_s`.

    Speeds are samples of the whole run per second. `alone` is the sum of what the ranks do by
    themselves, each on its share; `possible` is what the best shares would come to.
    """

    step: int
    ranks: tuple[int, ...]
    shares: tuple[int, ...]
    fixed_s: tuple[float, ...]
    per_sample_s: tuple[float, ...]
    samples_per_s: float  # measured since the last look
    alone_samples_per_s: float
    possible_samples_per_s: float


@dataclass(frozen=True, slots=True)
class RankParked:
    """A rank stands aside, for the others are as fast without it. It is back in the next
    GenerationFormed that names it."""

    rank: int
    step: int
    reason: str  # with the numbers
    samples_per_s: float  # its own speed
    gain: float  # what it would add to the run's speed, as a part of that


@dataclass(frozen=True, slots=True)
class RankLeftOut:
    """A rank has died again and again soon after joining: its next process is not started yet."""

    agent: str
    rank: int
    reason: str  # with the first cause


@dataclass(frozen=True, slots=True)
class Validated:
    """The whole validation set, every sample once."""

    step: int
    epoch: int
    loss: float
    count: float
    metrics: dict[str, float]
    seconds: float
    best: bool  # better than all before it


@dataclass(frozen=True, slots=True)
class ScalarsWritten:
    """Numbers that a torchrun script has written for TensorBoard, by their tags."""

    step: int  # as the script counts
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class TextSampled:
    """What the model wrote at `step`."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True, slots=True)
class CheckpointWritten:
    """A checkpoint is durable: its manifest and marker are on disk."""

    step: int
    path: str  # relative to the run's folder
    size_bytes: int
    seconds: float
    best: bool  # the best one by checkpoint.metric so far
    metric: float | None  # its value at the last validation


@dataclass(frozen=True, slots=True)
class CheckpointHome:
    """A checkpoint is on the disk of the head's machine as well: it outlives the one that wrote
    it. Where machines share the run's folder there is no such event."""

    step: int
    agent: str  # that brought it


@dataclass(frozen=True, slots=True)
class CheckpointDropped:
    """Retention removed a checkpoint."""

    step: int
    path: str


@dataclass(frozen=True, slots=True)
class Exported:
    """The model at the end of the run, as a file others read."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should know; training goes on. `level` is "note" or "warning"."""

    level: str
    text: str
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Somebody wants the run to stop at the next boundary, with a checkpoint."""

    reason: str


@dataclass(frozen=True, slots=True)
class AgentEnded:
    """An agent has stopped its ranks and says goodbye: nothing of it will follow."""

    agent: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The end: "finished", "stopped" or "failed" (then with the error that caused it)."""

    outcome: str
    step: int
    reason: str = ""
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class MachineProfiled:
    """What an agent's machine can do, measured in a bench by one of its ranks. Null: see `note`."""

    agent: str
    device: str  # what was measured: "cpu", "cuda:0"
    threads: int  # of all of the machine's ranks, as far as there are cores for them
    memory_bytes_per_s: float | None  # what is read and written while a large tensor is copied
    matmul_flop_per_s: dict[str, float]  # by the type of the numbers: "fp32", "bf16"
    disk_read_bytes_per_s: float | None  # of the folder that caches data
    disk_write_bytes_per_s: float | None
    note: str = ""  # what could not be measured, and why


@dataclass(frozen=True, slots=True)
class RankProfiled:
    """A rank's own speed on the job, measured in a bench while the other ranks computed too:
    `n` samples cost it `fixed_s + n * per_sample_s`."""

    rank: int
    micro_batch: int  # samples at once from which on more at once are no faster
    samples: tuple[int, ...]  # the sizes that were measured
    seconds: tuple[float, ...]  # and how long each of them took
    fixed_s: float
    per_sample_s: float
    parameters: int  # of the model, those that learn
    memory_bytes: int  # at its highest
    note: str = ""  # why no larger size was measured


@dataclass(frozen=True, slots=True)
class LinkMeasured:
    """From one rank to another, measured in a bench while no other rank sent anything."""

    from_rank: int
    to_rank: int
    bytes_per_s: float
    latency_s: float  # of the smallest message, one way


@dataclass(frozen=True, slots=True)
class ReplicasCompared:
    """All ranks compared their weights, and some differ; or it was the first time.

    `drift`: how far each rank's weights are from those that hold, as a part of their norm.
    """

    step: int
    ranks: tuple[int, ...]
    drift: tuple[float, ...]  # 0: the same to the bit
    resent: tuple[int, ...]  # ranks that took over the state of another: too far


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """How an agent's machine fares, every two seconds: all of it, or what the agent's container may
    use of it. Null: the system does not say. `gpus` has by UUID the `name` and, as far as known,
    `busy_share`, `memory_bytes` and `memory_limit_bytes`, `temperature_c`, `power_w` and
    `power_limit_w`."""

    agent: str
    cpu_share: float | None  # of the processors it may use: 1 is all of them
    memory_bytes: int | None  # in use; files that are only kept for later do not count
    memory_limit_bytes: int | None
    disk_read_bytes_per_s: float | None
    disk_write_bytes_per_s: float | None
    sent_bytes_per_s: float | None  # to other machines, not from rank to rank within
    received_bytes_per_s: float | None
    temperature_c: float | None  # of the processor
    gpus: dict[str, Any]
    dropped: int = 0  # events, ever, that the agent had to drop: nobody took them


Event = Union[  # noqa: UP007  (get_args below wants a Union of all kinds)
    RunStarted, MachineSeen, DataPrepared, RankStarted, RankBuilt, RankLost, GenerationFormed,
    StepCommitted, RankTimed, SharesChanged, SpeedsFitted, RankParked, RankLeftOut, Validated,
    TextSampled, CheckpointWritten, CheckpointHome, CheckpointDropped, Exported, Alert, StopAsked,
    AgentEnded, RunEnded, MachineProfiled, RankProfiled, LinkMeasured, ReplicasCompared,
    MachineLoad, ScalarsWritten,
]  # fmt: skip
KINDS: dict[str, type[Any]] = {k.__name__: k for k in get_args(Event)}
