"""The machines of a pool and the codes that let others in, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evener import cluster, units
from evener.placement.words import cores, counted
from evener.pool import house


def own_works() -> bool:
    """Whether this machine waits for work."""
    joined = house.read_joined(house.joined_folder())
    return joined is not None and joined.works


def lines(members: Sequence[dict[str, Any]]) -> list[str]:
    """One for each machine."""
    rows = [_cells(member) for member in members]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _cells(member: dict[str, Any]) -> tuple[str, ...]:
    machine = cluster.from_dict(member["machine"])
    gpus = [device.name or device.kind for device in machine.devices if device.kind != "cpu"]
    has = gpus[0] if len(set(gpus)) == 1 and len(gpus) == 1 else counted(len(gpus), "GPU")
    return (
        str(member["name"]),
        cores(machine.cpus),
        units.show_size(machine.memory_bytes),
        has if gpus else "no GPU",
        f"torch {machine.torch}" if machine.torch else "no torch",
        _where(member),
        _state(member),
    )


def _where(member: dict[str, Any]) -> str:
    """The address by which others reach it, and that of the mesh where it is in that."""
    host, mesh = (str(member[way]).rpartition(":")[0] for way in ("door", "mesh"))
    if not mesh:
        return host
    mesh += " by TCP, slower" * (member["mesh_by"] == "tcp")
    return f"mesh {mesh}" if member["hindrance"] else f"{host}, mesh {mesh}"


def _state(member: dict[str, Any]) -> str:
    if member["state"] == "training":
        return "training " + ", ".join(member["runs"])
    if member["state"] == "away" and member["silent_s"] is not None:
        return f"away for {units.show_duration(member['silent_s'])}"
    return str(member["why_not"] or member["state"])
