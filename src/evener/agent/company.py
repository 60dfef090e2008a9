"""The other agents as one agent's lines tell: who is here, who may still come, who has gone."""

from __future__ import annotations

from collections.abc import Iterable

from evener.membership.words import Goodbye, Heartbeat, Message

UNSEEN_S = 10.0  # for an agent that started when we did to be there


class Company:
    """Told in order what happens to connections; asked at any time. Times are the agent's clock."""

    def __init__(self, me: str, known: Iterable[str], now: float) -> None:
        self.me = me
        self._born_at = now
        self._unseen = set(known)  # those that never were here
        self.met = not self._unseen  # somebody was here, or nobody can be
        self._present: set[str] = set()  # those that we are connected with
        self._gone: set[str] = set()  # those that said goodbye
        self._turned_away: set[str] = set()  # those that must not come in
        self._training: set[str] = set()  # those that are in a generation
        self._unheard = set(known)  # those that did not say whether they are

    def seen(self, agent: str, here: bool) -> None:
        """From awaited to present in one moment: in between, it would count as gone."""
        (self._present.add if here else self._present.discard)(agent)
        self._unseen.discard(agent)
        self.met |= here
        if here:  # it is back
            self._gone.discard(agent)
            self._turned_away.discard(agent)

    def heard(self, message: Message) -> None:
        """What the others say to membership tells of them, too."""
        match message:
            case Goodbye(agent):
                self._gone.add(agent)
            case Heartbeat(agent, current=current):
                self._unheard.discard(agent)
                (self._training.discard if current is None else self._training.add)(agent)

    def trains(self, now: float) -> bool | None:
        """Whether others do, whom this one would only have joined; None until they have told."""
        alive = self.alive(now)
        if not self._training.isdisjoint(alive):
            return True
        return False if self._unheard.isdisjoint(alive) else None

    def turn_away(self, agent: str) -> bool:
        """Nobody waits for it. Whether that is news: it may call again and again."""
        news = agent not in self._turned_away
        self._turned_away.add(agent)
        self._unseen.discard(agent)
        return news

    def alive(self, now: float) -> set[str]:
        """Other agents, as far as we know; those too that may still show up."""
        return (self._present | self.awaited(now)) - self._gone

    def everybody(self, now: float) -> set[str]:
        """Those, and this one: who will train, where nobody does yet."""
        return {self.me, *self.alive(now)}

    def awaited(self, now: float) -> set[str]:
        """Agents that have not shown up yet, shortly after the start."""
        return self._unseen if now - self._born_at < UNSEEN_S else set()

    def leads(self, now: float) -> bool:
        """Whether this agent's id is the lowest of all that are here or may still come."""
        return all(self.me < other for other in self.alive(now))
