"""Between three vocabularies: membership's words, orders to ranks, and frames between agents.

What another agent says is read strictly: it knows the secret, but it may be of another version.
"""

from __future__ import annotations

import types
import typing
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

from evener import orders
from evener.config.schema import Membership as MembershipConfig
from evener.errors import EvenerError
from evener.membership import words
from evener.membership.generation import Ballot
from evener.membership.words import Message
from evener.orders import Order
from evener.wire.frames import Frame


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody wants the run to stop at the next boundary, with a checkpoint."""

    sender: str
    reason: str


@dataclass(frozen=True, slots=True)
class Over:
    """The run has ended, as `sender` knows it; `recorded` once its RunEnded is on its way."""

    sender: str
    outcome: str  # "finished", "stopped", "failed"
    step: int
    reason: str = ""
    error: dict[str, Any] | None = None
    at_once: bool = False  # nobody's ranks need to reach a boundary any more
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Away:
    """The sender's machine goes away."""

    sender: str


@dataclass(frozen=True, slots=True)
class Return:
    """Whoever holds these parked ranks: they would help now."""

    sender: str
    ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stumbled:
    """A rank of the sender's failed so; unless another does too, it is tried again."""

    sender: str
    code: str
    place: str


@dataclass(frozen=True, slots=True)
class Idle:
    """The sender has left out the last of its ranks, and trains nothing for a while."""

    sender: str


@dataclass(frozen=True, slots=True)
class Through:
    """All processes of a script that the sender started for this generation ended well."""

    sender: str
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Reached:
    """The step that a script has printed last, for who may have to listen to it next."""

    sender: str
    step: int


@dataclass(frozen=True, slots=True)
class Still:
    """A script has printed nothing for long: tell where yours stand."""

    sender: str


@dataclass(frozen=True, slots=True)
class Left:
    """How an agent ended without the run: refused, too late, or called away, perhaps to be back."""

    error: EvenerError | None = None
    returns: bool = False


Told = Return | Stumbled | Idle | Through | Reached | Still  # to an agent's crew
Letter = Message | Stop | Away | Over | Told
_KINDS: dict[str, type[Any]] = {
    k.__name__: k for k in (*typing.get_args(Message), Stop, Away, Over, *typing.get_args(Told))
}


def to_frame(letter: Letter) -> Frame:
    return {"say": type(letter).__name__, **asdict(letter)}


def from_frame(frame: Frame) -> Letter:
    """Raises ValueError on what no agent says: the reader drops the connection."""
    kind = _KINDS.get(str(frame.get("say")))
    if kind is None:
        raise ValueError(f"no agent says {frame.get('say')!r}")
    return typing.cast("Letter", _read(kind, frame))


def settings(config: MembershipConfig) -> words.Settings:
    return words.Settings(
        heartbeat_s=config.heartbeat_s,
        dead_s=config.dead_s,
        form_s=config.form_s,
        join_s=config.join_s,
        halt_s=config.halt_s,
        minority_waits=config.on_partition == "wait",
    )


def to_input(order: Order, rank: int, life: int) -> words.Input | None:
    """What a rank's answer means to membership; None where it means nothing to it."""
    match order:
        case orders.Halted(ballot, step):
            return words.RankHalted(rank, life, ballot, step)
        case orders.Formed(ballot, step):
            return words.RankFormed(rank, life, ballot, step)
        case orders.Parked(ballot):
            return words.RankParked(rank, life, ballot)
        case orders.Broken(ballot):
            return words.RankBroken(rank, life, ballot)
        case orders.Progress(step):
            return words.RankProgress(rank, life, step)
        case _:
            return None


def _read(wanted: Any, value: Any) -> Any:
    """`value`, as JSON gave it, as the type that a field declares."""
    if is_dataclass(wanted):
        return _read_record(typing.cast("type[Any]", wanted), value)
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        inner = next(t for t in typing.get_args(wanted) if t is not type(None))
        return None if value is None else _read(inner, value)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(typing.get_args(wanted)[0], v) for v in value)
    if type(value) is (origin or wanted):
        return value
    raise ValueError(f"{value!r:.60} is not of type {wanted}")


def _read_record(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.60} is no {kind.__name__}")
    hints = typing.get_type_hints(kind)
    known = {f.name: _read(hints[f.name], value[f.name]) for f in fields(kind) if f.name in value}
    try:
        return kind(**known)
    except TypeError as error:
        raise ValueError(f"malformed {kind.__name__}: {error}") from error
