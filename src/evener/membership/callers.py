"""For whom a generation is formed, who then is not there in time, and who never stays for long.

A machine of little processor time may take longer to halt than it takes to be silent: all others
would stop for it, go on without it, and stop for it again. So each time it is asked in less often.
A machine that falls out soon after it was let in, again and again, stops all others twice each
time: so it rests a little longer before each return.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from evener.membership.words import Heartbeat, Plea, Rests

FIRST_S, LONGEST_S = 4.0, 300.0  # after the second miss in a row; it doubles from there
QUICK_S, FALLS = 10.0, 3  # who stays no longer than that, so often in a row, rests
REST_S, REST_MOST_S = 4.0, 60.0  # at first; it doubles from there


class Callers:
    """As the leader remembers them; silence is known for what it is after `dead_s`."""

    def __init__(self, dead_s: float) -> None:
        self._quick_s = QUICK_S + dead_s
        self._asked: str | None = None  # whose call the open ballot answers
        self._misses: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._since: dict[str, float] = {}  # when those of the last generation came into it
        self._falls: dict[str, int] = {}  # in a row, each soon after
        self._rests_until: dict[str, float] = {}

    def heard(self, agent: str, now: float) -> bool:
        """Whether its call is to be answered now; then a ballot is opened for it."""
        if now < self._not_before.get(agent, now) or self._rests(agent, now):
            return False
        self._asked = agent
        return True

    def urges(self, plea: Plea, now: float) -> bool:
        """Whether it is answered whoever asks. What is urgent to one that rests is its return."""
        return plea.urgent and not self._rests(plea.sender, now)

    def decided(self, ready: Collection[str], now: float) -> list[Rests]:
        """A ballot came to its end, with these. Returns who is to rest from now on."""
        asked, self._asked = self._asked, None
        for agent in ready:
            self._misses.pop(agent, None)
            self._not_before.pop(agent, None)
        if asked is not None and asked not in ready:
            misses = self._misses[asked] = self._misses.get(asked, 0) + 1
            if misses > 1:
                self._not_before[asked] = now + min(FIRST_S * 2 ** (misses - 2), LONGEST_S)
        return self._judged(ready, now)

    def _judged(self, ready: Collection[str], now: float) -> list[Rests]:
        fallen = {a: at for a, at in self._since.items() if a not in ready}
        self._since = {a: self._since.get(a, now) for a in ready}
        for agent in ready:
            self._rests_until.pop(agent, None)
        found = []
        for agent, at in fallen.items():
            quick = now - at < self._quick_s
            falls = self._falls[agent] = self._falls.get(agent, 0) + 1 if quick else 0
            if falls >= FALLS:
                rest_s = min(REST_S * 2 ** (falls - FALLS), REST_MOST_S)
                self._rests_until[agent] = now + rest_s
                found.append(Rests(agent, falls, rest_s))
        return found

    def _rests(self, agent: str, now: float) -> bool:
        return now < self._rests_until.get(agent, now)


class Strangers:
    """Agents in another generation than ours, since when, and in which."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._where: dict[str, tuple[object, tuple[str, ...]]] = {}  # the ballot, the agents

    def heard(self, beat: Heartbeat, *, is_ours: bool, now: float) -> None:
        if is_ours or beat.current is None:
            self._since.pop(beat.sender, None)
        else:
            self._since.setdefault(beat.sender, now)
            self._where[beat.sender] = beat.current, beat.agents

    def found(self, since: float, is_alive: Callable[[str], bool], newcomer: str = "") -> list[str]:
        """Those that stay there, and live. A `newcomer`, who has nothing to bring yet, is needed
        only where they are in several generations, or in one that counts on its former life."""
        found = [a for a, at in self._since.items() if at < since and is_alive(a)]
        places = {self._where[a] for a in found}
        together = len(places) == 1 and not any(newcomer in agents for _, agents in places)
        return [] if newcomer and together else found

    def clear(self) -> None:
        self._since.clear()
