"""What an agent tells its ranks and what they answer: one small vocabulary of frozen messages.

A message travels as one line of JSON (`wire` frames it): {"order": "Halt", ...fields}.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from evener.membership.generation import Ballot, Generation, Member


@dataclass(frozen=True, slots=True)
class Hello:
    """A rank process is up, has imported torch and hosts a store on `store_port`."""

    pid: int
    store_port: int


@dataclass(frozen=True, slots=True)
class Take:
    """Become rank `rank`, in its life number `life`: build model and data, to train or measure."""

    rank: int
    life: int
    threads: int
    device: str
    part: tuple[float, float] = (0.0, 1.0)
    purpose: str = "train"  # or "bench"


@dataclass(frozen=True, slots=True)
class Built:
    """Model and data are there; the rank may be made a member."""

    rank: int
    device: str
    global_batch: int = 0  # samples of a step, which only a script may know


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop at the next boundary all ranks agree on; when `urgent`, break the collective now."""

    ballot: Ballot
    urgent: bool


@dataclass(frozen=True, slots=True)
class Halted:
    """The rank stands still. `step` is its last committed step, -1 when it has no state."""

    ballot: Ballot
    step: int


@dataclass(frozen=True, slots=True)
class Form:
    """Form the process group of `generation` and go on."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class Formed:
    """The group stands and the state is level: training goes on from `step`."""

    ballot: Ballot
    step: int


@dataclass(frozen=True, slots=True)
class Broken:
    """The group of `ballot` failed under this rank: a peer is gone, or it never formed."""

    ballot: Ballot
    reason: str


@dataclass(frozen=True, slots=True)
class Parked:
    """The rank has left the group of `ballot`, as all in it agreed: it would slow them down.

    It has given up its state, stands, and answers every halt at once.
    """

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Unparked:
    """The rank stands aside no longer: it would help now."""


@dataclass(frozen=True, slots=True)
class Recall:
    """These parked ranks would help now, whoever's they are. May be said again and again."""

    ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """The rank has committed `step`, and takes so many samples of each. Throttled: for liveness,
    not for the record."""

    step: int
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Pulse:
    """Said again and again while the rank is in a group: how often it has got on, and whether it
    now waits for others or for a disk."""

    beats: int
    resting: bool


@dataclass(frozen=True, slots=True)
class Wind:
    """Stop for good at the next boundary all ranks agree on, with a checkpoint."""

    reason: str


@dataclass(frozen=True, slots=True)
class Save:
    """Write a checkpoint at the next boundary: whoever leads does, the others know that it will."""


@dataclass(frozen=True, slots=True)
class Report:
    """Events for the run's record, in order, as dictionaries of `events`."""

    events: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Afterwards:
    """A script's loop is over, and it goes on with what stands below: for as long as it takes."""


@dataclass(frozen=True, slots=True)
class Done:
    """The rank has ended its work: `outcome` is "finished" or "stopped", at `step`."""

    outcome: str
    step: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The rank cannot go on and another try would fail alike: an error as a dictionary."""

    error: dict[str, Any]


Order = (
    Hello | Take | Built | Halt | Halted | Form | Formed | Broken | Parked | Unparked | Recall
    | Progress | Pulse | Wind | Save | Report | Afterwards | Done | Failed
)  # fmt: skip
_KINDS: dict[str, type[Any]] = {k.__name__: k for k in Order.__args__}


def to_dict(order: Order) -> dict[str, Any]:
    return {"order": type(order).__name__, **_plain(order)}


def _plain(value: Any) -> Any:
    """By hand: `asdict` would copy all that is reported once more, between two steps of a rank."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def from_dict(record: dict[str, Any]) -> Order:
    """Raises ValueError on what is no order: the reader drops the connection that sent it."""
    kind = _KINDS.get(str(record.get("order")))
    if kind is None:
        raise ValueError(f"not an order: {record.get('order')!r}")
    try:
        return _build(kind, {k: v for k, v in record.items() if k != "order"})  # type: ignore[no-any-return]
    except (TypeError, KeyError) as error:
        raise ValueError(f"malformed {kind.__name__}: {error}") from error


def _build(kind: type[Any], values: dict[str, Any]) -> Any:
    nested = {"Ballot": Ballot, "Generation": Generation}
    known: dict[str, Any] = {}
    for f in fields(kind):
        if f.name not in values:
            continue
        value = values[f.name]
        inner = nested.get(str(f.type))
        if inner is not None and not is_dataclass(value):
            value = _build(inner, value)
        elif f.name in ("members", "parked"):
            value = tuple(_build(Member, m) for m in value)
        elif f.name in ("events", "ranks", "part"):
            value = tuple(value)
        known[f.name] = value
    return kind(**known)
