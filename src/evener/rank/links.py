"""How fast one rank reaches another, as its messages do: bytes a second each way, and latency.

One of the two asks and times, the other answers: no clock is compared with another.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from time import perf_counter

import torch

from evener.rank.group import Group

PINGS = 11
SIZES = tuple(2**n for n in range(16, 28, 2))  # 64 KiB to 64 MiB, until one takes long enough
ENOUGH_S = 0.1
_WORD = 8  # bytes of the smallest message


@dataclass(frozen=True, slots=True)
class Found:
    there_bytes_per_s: float
    back_bytes_per_s: float
    latency_s: float  # one way


def measure(group: Group, other: int) -> Found:
    """`other` must `answer` at the same time. About a second, over a slow link too."""
    latency_s = _latency_s(group, other)
    there = back = 1.0
    for size in SIZES:
        data = torch.zeros(size, dtype=torch.uint8)
        began = perf_counter()
        _say(group, other, size)
        group.send(data, other)
        _hear(group, other)
        arrived = perf_counter()
        _say(group, other, size)
        group.receive(data, other)
        there_s, back_s = arrived - began, perf_counter() - arrived
        there, back = (size / max(t - 2 * latency_s, t / 2) for t in (there_s, back_s))
        if max(there_s, back_s) >= ENOUGH_S:
            break
    _say(group, other, 0)
    return Found(there, back, latency_s)


def _latency_s(group: Group, other: int) -> float:
    times = []
    for _ in range(PINGS):
        began = perf_counter()
        _say(group, other, _WORD)
        _hear(group, other)
        times.append((perf_counter() - began) / 2)
    return statistics.median(times[1:])


def answer(group: Group, other: int) -> None:
    """The other end of `measure`."""
    for _ in range(PINGS):
        _say(group, other, _hear(group, other))
    while size := _hear(group, other):
        data = torch.zeros(size, dtype=torch.uint8)
        group.receive(data, other)
        _say(group, other, size)
        _hear(group, other)
        group.send(data, other)


def _say(group: Group, other: int, number: int) -> None:
    group.send(torch.tensor([number], dtype=torch.int64), other)


def _hear(group: Group, other: int) -> int:
    word = torch.zeros(1, dtype=torch.int64)
    group.receive(word, other)
    return int(word.item())
