"""What the server says of its members, tokens and runs, as JSON. Decides only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from evener import cluster
from evener.pool.attendance import Attendance
from evener.pool.roll import Member, Roll, Run, Wish
from evener.pool.tokens import Token

AWAY, WAITING, TRAINING, UNFIT = "away", "waiting", "training", "unfit"


def member_view(member: Member, roll: Roll, attendance: Attendance, network: str) -> dict[str, Any]:
    """`network` is what the pool says of it."""
    presence = attendance.of(member.id)
    there = attendance.is_there(member.id)
    runs = [w.run for w in roll.wanted_of(member.id) if w.id in presence.running]
    why_not = presence.ways.why_not(network) if there else ""
    state = TRAINING if runs else UNFIT if why_not else WAITING
    return {
        "id": member.id,
        "name": member.name,
        "own": member.own,
        "machine": cluster.to_dict(member.machine),
        "evener": member.evener,
        "joined_at": member.joined_at,
        "state": state if there else AWAY,
        "why_not": why_not,
        "door": presence.ways.host if there else "",
        "mesh": presence.ways.mesh if there else "",
        "mesh_by": ("tcp" if presence.detours else "udp") if there and presence.ways.mesh else "",
        "hindrance": presence.ways.hindrance if there else "",
        "silent_s": attendance.silent_s(member.id),
        "runs": [roll.runs[key].name for key in dict.fromkeys(runs)],
    }


def token_view(token: Token) -> dict[str, Any]:
    found = asdict(token)
    del found["digest"]
    return found


def run_view(run: Run, attendance: Attendance) -> dict[str, Any]:
    """Without its secret."""
    wishes = [
        {
            "id": wish.id,
            "member": wish.member,
            "agent": wish.told.get("agent"),
            "door": wish.told.get("door"),
            "ended": wish.ended,
            "words": wish.words,
            "running": wish.id in attendance.of(wish.member).running,
            "there": attendance.is_there(wish.member),
        }
        for wish in run.wishes
    ]
    return {
        "key": run.key,
        "name": run.name,
        "head": run.head,
        "network": run.network,
        "folder": run.folder,
        "wishes": wishes,
    }


def wishes_view(wishes: Iterable[Wish]) -> list[dict[str, Any]]:
    """What the machine that they are for is told."""
    return [{"id": wish.id, "run": wish.run, "told": wish.told} for wish in wishes]


def stamp(wishes: list[dict[str, Any]], leave: bool, blocked: list[str]) -> str:
    """What tells an answer from another: who has seen this one is told when there is a new one."""
    said = json.dumps([[wish["id"] for wish in wishes], leave, blocked])
    return hashlib.sha256(said.encode()).hexdigest()[:16]
