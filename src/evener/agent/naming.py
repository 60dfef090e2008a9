"""What people call the machines of a run's agents: as `evener nodes` and the run's page do."""

from __future__ import annotations

from evener.events import Alert
from evener.membership import words
from evener.placement import LOCAL, SWARM, Plan

LONGEST = 64  # of a name that another machine says is its own
_STRANGER = "a machine that is not in the plan"
_ANY_WAY = "a firewall or a route between them may be why"
_SWARM_WAY = "4789/udp and 7946 (tcp and udp) must be open between their two engines"


class Names:
    """As one agent knows them: of those in its plan, and of those that joined later and have
    spoken to it."""

    def __init__(self, plan: Plan, me: str) -> None:
        self.me = me
        self._place = plan.place
        self._machines = {each.agent: each.machine for each in plan.agents}

    def learn(self, agent: str, machine: object) -> None:
        """What it says itself; another version may say nothing."""
        if isinstance(machine, str) and machine:
            self._machines.setdefault(agent, machine[:LONGEST])

    def machine(self, agent: str) -> str:
        return self._machines.get(agent, _STRANGER)

    def of(self, agent: str) -> str:
        """The machine's; where all agents are on one, the agent's."""
        known = self._place != LOCAL and agent in self._machines
        return self._machines[agent] if known else f"agent {agent}"

    def full(self, agent: str) -> str:
        """Both."""
        name = self.of(agent)
        return name if name == f"agent {agent}" else f"agent {agent} ({name})"

    def told(self, word: words.LeftOut | words.Rests) -> Alert:
        """What membership has to say of machines."""
        return self._left_out(word) if isinstance(word, words.LeftOut) else self._rests(word)

    def _rests(self, word: words.Rests) -> Alert:
        what = f"{self.of(word.agent)} was gone {word.falls} times soon after it had joined"
        return Alert("warning", f"{what}: the others go on without it for {word.for_s:.0f} s")

    def _left_out(self, word: words.LeftOut) -> Alert:
        """Of two that do not hear each other, though others hear both, and what helps."""
        others = " and ".join(map(self.of, word.others))
        what = f"{self.of(word.agent)} is left out while it and {others} do not hear each other"
        return Alert("warning", f"{what}; {_SWARM_WAY if self._place == SWARM else _ANY_WAY}")
