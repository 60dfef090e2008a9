"""What profiles are made of. The annotations also say what `read` accepts from a person."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

VERSION = 1
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Name = Annotated[str, Field(min_length=1)]
Number = Annotated[int, Field(ge=0)]  # of a rank
Count = Annotated[int, Field(ge=1)]
AboveZero = Annotated[float, Field(gt=0)]
FromZero = Annotated[float, Field(ge=0)]
Point = tuple[Count, AboveZero]  # samples, and the seconds they took


@dataclass(frozen=True, slots=True)
class MachineProfile:
    """One machine, measured with the threads of all of its ranks."""

    __pydantic_config__ = STRICT

    name: Name
    cpus: AboveZero  # under its quota
    memory_bytes: Count | None
    device: Name  # what was measured: "cpu", "cuda:0"
    threads: Count
    memory_bytes_per_s: AboveZero | None  # read and written, in a copy
    matmul_flop_per_s: dict[str, AboveZero | None]  # by the type of the numbers
    disk_read_bytes_per_s: AboveZero | None
    disk_write_bytes_per_s: AboveZero | None
    system: str = ""
    processor: str = ""
    note: str = ""  # what is null, and why


@dataclass(frozen=True, slots=True)
class RankProfile:
    """One rank's own speed: `n` samples cost it `fixed_s + n * per_sample_s`."""

    __pydantic_config__ = STRICT

    rank: Number
    machine: Name
    device: Name  # as torch writes it
    hardware: str  # the name of what it computes on
    threads: Count
    micro_batch: Count  # samples at once from which on more at once are no faster
    points: tuple[Point, ...]
    fixed_s: FromZero
    per_sample_s: AboveZero
    memory_bytes: Count | None = None  # at its highest
    note: str = ""

    @property
    def samples_per_s(self) -> float:
        """Of `micro_batch` samples, as it was measured where it was."""
        fitted_s = self.fixed_s + self.per_sample_s * self.micro_batch
        return self.micro_batch / dict(self.points).get(self.micro_batch, fitted_s)


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """From one rank to another, while nobody else sent anything."""

    __pydantic_config__ = STRICT

    from_rank: Number
    to_rank: Number
    bytes_per_s: AboveZero
    latency_s: FromZero


@dataclass(frozen=True, slots=True)
class Profiles:
    """All that one bench found. Without a job there are machines only."""

    __pydantic_config__ = STRICT

    v: Literal[1]
    measured_at: Name  # ISO 8601
    evener: str
    torch: str
    machines: tuple[MachineProfile, ...]
    ranks: tuple[RankProfile, ...] = ()
    links: tuple[LinkProfile, ...] = ()
    job: str | None = None
    parameters: Count | None = None  # of the job's model
    depends_on: dict[str, Any] = field(default_factory=dict)  # keys of the job that speeds rest on

    def machine(self, name: str) -> MachineProfile | None:
        return next((m for m in self.machines if m.name == name), None)


def to_text(profiles: Profiles) -> str:
    """As JSON, a point to a line. What `read.parse` reads is the same again."""
    text = json.dumps(asdict(profiles), indent=2, ensure_ascii=False)
    for profile in profiles.ranks:
        for point in profile.points:
            spread = json.dumps(list(point), indent=2).replace("\n", "\n" + " " * 8)
            text = text.replace(spread, json.dumps(list(point)), 1)
    return text + "\n"
