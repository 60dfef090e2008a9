"""Before anything was trained: who was planned to be there, and how long they are waited for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from evener.membership.words import Ready


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who is to be there when the run begins."""

    agents: int
    ranks: int

    def met_by(self, readys: Collection[Ready]) -> bool:
        ranks = sum(len(r.standings) for r in readys)
        return len(readys) >= self.agents and ranks >= self.ranks


class Start:
    """Everybody who was planned is worth a wait, from the moment when the first rank was up."""

    def __init__(self, agents: int, ranks: int, join_s: float) -> None:
        self._agents, self._ranks, self._join_s = agents, ranks, join_s
        self._first_up_at: float | None = None  # of all ranks we know of
        self._turned_away: dict[str, int] = {}  # agents with their ranks, not waited for

    def rank_is_up(self, now: float) -> None:
        if self._first_up_at is None:
            self._first_up_at = now

    def turn_away(self, agent: str, ranks: int) -> None:
        self._turned_away[agent] = ranks

    def is_here(self, agent: str) -> None:
        self._turned_away.pop(agent, None)

    def wanted(self, now: float) -> Wanted | None:
        """None once the wait is over, or has not begun."""
        if self._first_up_at is None or now - self._first_up_at >= self._join_s:
            return None
        away = self._turned_away
        return Wanted(self._agents - len(away), self._ranks - sum(away.values()))
