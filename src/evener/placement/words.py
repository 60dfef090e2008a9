"""Counts in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def cores(cpus: float) -> str:
    return f"{cpus:g} core" + ("" if cpus == 1 else "s")
