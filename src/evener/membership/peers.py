"""The other agents, as far as this one can know: who lives, who is silent, who is surely dead.

Evidence and silence are kept apart. A closed line says that a process is gone, so nobody waits
for it and it counts as having left. Silence says nothing for sure: the silent may go on elsewhere.
Two may be silent to each other whom a third one hears; so what the others hear is kept as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from evener.membership.generation import Ballot, Generation


class Peers:
    """When each was heard last, and whose line closed."""

    def __init__(self, me: str, known: Iterable[str], dead_s: float, now: float) -> None:
        self._me = me
        self._dead_s = dead_s
        self._now = self._born_at = now
        self._known = {*known} - {me}
        self._heard: dict[str, float] = {}  # by us, or by somebody who vouched for it
        self._own: dict[str, float] = {}  # by us; of whom we were only told, when that was
        self._unheard_by: dict[str, frozenset[str]] = {}
        self._lost: set[str] = set()
        self._evidence: dict[str, Ballot] = {}
        # Both hold until a silence gets too long, or until something happens: then they are None.
        self._alive: tuple[str, ...] | None = None
        self._heard_first = now  # when the longest silent of the alive was heard
        self._unheard: tuple[str, ...] | None = None
        self._own_first = now  # the same, of those that we hear ourselves

    @property
    def known(self) -> list[str]:
        return sorted(self._known)

    @property
    def alive(self) -> tuple[str, ...]:
        """All believed alive, this agent included, in order."""
        if self._alive is None or self._now - self._heard_first > self._dead_s:
            others = [a for a in self._heard if not self.is_silent(a)]
            self._alive = tuple(sorted((self._me, *others)))
            self._heard_first = min((self._heard[a] for a in others), default=math.inf)
        return self._alive

    @property
    def complete(self) -> bool:
        """Whether all we know of are alive, or known to be dead."""
        return self._known <= {*self.alive} | self._lost

    @property
    def doubtful(self) -> set[str]:
        """Those that fell silent, and may go on elsewhere."""
        return self._known - {*self.alive} - self._lost

    @property
    def unheard(self) -> tuple[str, ...]:
        """Whom we do not hear, whatever others say, and whose line did not end."""
        silent_at = self._now - self._dead_s
        if self._unheard is None or self._own_first < silent_at:
            own = {a: self._own.get(a, self._born_at) for a in self._known - self._lost}
            self._unheard = tuple(sorted(a for a, at in own.items() if at < silent_at))
            self._own_first = min((at for at in own.values() if at >= silent_at), default=math.inf)
        return self._unheard

    def hears_not(self, agent: str, others: Iterable[str]) -> None:
        """It said so, last."""
        self._unheard_by[agent] = frozenset(others)

    def are_apart(self, one: str, other: str) -> bool:
        """Whether one of these two does not hear the other."""
        unheard = self._unheard_by | {self._me: frozenset(self.unheard)}
        return other in unheard.get(one, ()) or one in unheard.get(other, ())

    def is_alive(self, agent: str) -> bool:
        return agent in self.alive

    def is_silent(self, agent: str) -> bool:
        """Whoever was never heard had since our own birth to speak."""
        heard_at = self._now if agent == self._me else self._heard.get(agent, self._born_at)
        return agent in self._lost or self._now - heard_at > self._dead_s

    def wake(self, now: float) -> float:
        """Time goes on. Returns how long we slept, if so long that others' silence proves nothing.

        A process that was stopped, or a laptop that slept, finds everybody silent. It gives them
        the time to be heard again that it was away.
        """
        slept, self._now = now - self._now, now
        if slept <= self._dead_s / 2:
            return 0.0
        self._alive = self._unheard = None
        self._born_at += slept
        self._heard = {a: at + slept for a, at in self._heard.items()}
        self._own = {a: at + slept for a, at in self._own.items()}
        return slept

    def hear(self, agent: str) -> None:
        alive, unheard = self._alive, self._unheard
        if alive is None or agent not in alive or unheard is None or agent in unheard:
            self._alive = self._unheard = None
            self._known.add(agent)
            self._lost.discard(agent)
            self._evidence.pop(agent, None)
        self._heard[agent] = self._own[agent] = self._now

    def vouch(self, agents: Iterable[str]) -> None:
        """Somebody else heard these: let them have the time to reach us, unless they are lost."""
        for agent in {*agents} - {self._me} - self._lost:
            if agent not in self._known:
                self._known.add(agent)
                self._own[agent] = self._now
            self._heard[agent] = self._now
        self._alive = self._unheard = None

    def lose(self, agent: str, promised: Ballot) -> None:
        """It is gone. That is evidence for every generation up to the one promised now.

        A word from it after that comes over another connection: it is back, or never was gone.
        """
        self._known.add(agent)
        self._lost.add(agent)
        self._unheard_by.pop(agent, None)
        self._evidence[agent] = promised
        self._alive = self._unheard = None

    def gone_of(self, generation: Generation) -> tuple[str, ...]:
        """Who of it is dead by evidence. Who was lost before it has been heard by its leader."""
        evidence = self._evidence
        return tuple(
            a for a in generation.agents if a in evidence and evidence[a] >= generation.ballot
        )
