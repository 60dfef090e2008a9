"""Profiles as a bench of two machines might have found them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evener import placement
from evener.api import Ready
from evener.config.schema import Job
from evener.profiles import (
    Expected,
    LinkProfile,
    MachineProfile,
    Profiles,
    RankProfile,
    depends_on,
    to_text,
)
from evener.versions import installed

LABEL = "profiles.json"


def job(**tables: Any) -> Job:
    base: dict[str, Any] = {
        "name": "tiny",
        "model": {"name": "mlp", "hidden": [16]},
        "data": {"name": "synthetic_image"},
        "train": {"steps": 1, "global_batch": 64},
    }
    for table, keys in tables.items():
        base[table] = base.get(table, {}) | keys
    return Job.model_validate(base)


def machine(name: str, **facts: Any) -> MachineProfile:
    known: dict[str, Any] = {
        "cpus": 8.0, "memory_bytes": 16 * 10**9, "device": "cpu", "threads": 8,
        "memory_bytes_per_s": 2e10, "matmul_flop_per_s": {"fp32": 3e11, "fp16": None},
        "disk_read_bytes_per_s": 1e9, "disk_write_bytes_per_s": 5e8,
    }  # fmt: skip
    return MachineProfile(name=name, **known | facts)


def rank(number: int, machine: str, **facts: Any) -> RankProfile:
    known: dict[str, Any] = {
        "device": "cpu", "hardware": "EPYC", "threads": 8, "micro_batch": 4,
        "points": ((1, 0.02), (2, 0.03), (4, 0.05)), "fixed_s": 0.01, "per_sample_s": 0.01,
    }  # fmt: skip
    return RankProfile(rank=number, machine=machine, **known | facts)


def profiles(**changes: Any) -> Profiles:
    known: dict[str, Any] = {
        "measured_at": "2026-05-01T12:00:00+00:00", "evener": "0.1.0", "torch": "2.13.0+cpu",
        "job": "tiny", "parameters": 1000, "depends_on": depends_on(job()),
        "machines": (machine("oak"), machine("elm", cpus=2.0)),
        "ranks": (rank(0, "oak"), rank(1, "elm", threads=2, per_sample_s=0.04)),
        "links": (LinkProfile(0, 1, 1e8, 1e-3), LinkProfile(1, 0, 2e8, 1e-3)),
    }  # fmt: skip
    return Profiles(v=1, **known | changes)


def expected(number: int, machine: str, **facts: Any) -> Expected:
    known: dict[str, Any] = {"cpus": 8.0, "device": "cpu", "hardware": "EPYC", "threads": 8}
    return Expected(rank=number, agent=f"a{number:02d}", machine=machine, **known | facts)


OAK, ELM = expected(0, "oak"), expected(1, "elm", cpus=2.0, threads=2)


def edited(change: Callable[[dict[str, Any]], object]) -> str:
    """The text of the file after somebody has changed something in it by hand."""
    values = json.loads(to_text(profiles()))
    change(values)
    return json.dumps(values, indent=2)


def write_here(ready: Ready, file: Path) -> Profiles:
    """Profiles that fit `ready`, as if a bench had been here."""
    wanted = placement.expected(ready.plan, ready.machine)
    cpus = {each.machine: each.cpus for each in wanted}
    made = profiles(
        depends_on=depends_on(ready.job),
        measured_at=datetime.now(UTC).isoformat(),
        torch=installed().torch,
        machines=tuple(machine(name, cpus=n) for name, n in cpus.items()),
        ranks=tuple(
            rank(e.rank, e.machine, device=e.device, hardware=e.hardware, threads=e.threads)
            for e in wanted
        ),
        links=(),
    )
    file.write_text(to_text(made), encoding="utf-8")
    return made
