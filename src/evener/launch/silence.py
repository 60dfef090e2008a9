"""Machines of a Swarm whose containers run, and of which the head has heard nothing.

So it is where ports between engines are closed: containers start, and never meet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from evener.events import MachineSeen
from evener.placement import AgentPlan, Plan
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

LATE_S = 30.0  # an agent speaks within seconds of its container's start
MOST = 10_000  # machines, several lives of each


@dataclass(slots=True)
class Silence:
    """Since when each has been silent; who was named once is not named again."""

    _since: dict[str, float] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)  # agents that spoke, or were named

    def silent(self, run: RunDir, plan: Plan) -> list[AgentPlan]:
        """Who has said nothing since the run began or went on. The record is not asked again once
        all have."""
        left = [each for each in plan.agents if each.agent not in self._done]
        if left:
            with Store.open(run.db, write=False) as store:
                self._done.update(_heard(store))
        return [each for each in left if each.agent not in self._done]

    def late(self, running: Collection[AgentPlan], now_s: float) -> Iterator[AgentPlan]:
        """Of these, who are silent though they run, those that have been so for long."""
        for each in running:
            if now_s - self._since.setdefault(each.agent, now_s) > LATE_S:
                self._done.add(each.agent)
                yield each


def _heard(store: Store) -> Iterator[str]:
    began = max((seq for seq, _ in store.last("RunStarted", 1)), default=0)
    for seq, record in store.last("MachineSeen", MOST):
        if seq > began and isinstance(record.event, MachineSeen):
            yield record.event.agent
