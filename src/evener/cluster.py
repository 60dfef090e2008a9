"""Facts about machines: what a probe found. Facts only; what to do with them is `placement`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Device:
    """Something that can compute: a share of the processor, or one accelerator."""

    kind: str  # "cpu", "cuda", "mps"
    index: int = 0
    name: str = ""
    memory_bytes: int = 0
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """One computer. `cpus` is what its quota and affinity leave us, not what is soldered in."""

    name: str
    system: str
    cpus: float
    memory_bytes: int
    disk_free_bytes: int = 0
    cpu_name: str = ""
    python: str = ""
    torch: str = ""
    devices: tuple[Device, ...] = ()
    addresses: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())  # what could not be read, and why


@dataclass(frozen=True, slots=True)
class Link:
    """What was measured between two machines."""

    source: str
    target: str
    bytes_per_s: float
    latency_s: float


def to_dict(machine: Machine) -> dict[str, Any]:
    return asdict(machine)


def from_dict(record: dict[str, Any]) -> Machine:
    """A machine another version wrote: unknown keys are ignored, lists become tuples."""
    known = {k: v for k, v in record.items() if k in Machine.__dataclass_fields__}
    names = Device.__dataclass_fields__
    known["devices"] = tuple(
        Device(**{k: v for k, v in d.items() if k in names}) for d in known.get("devices", ())
    )
    for key in ("addresses", "notes"):
        known[key] = tuple(known.get(key, ()))
    return Machine(**known)
