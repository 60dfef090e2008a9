"""For whom a generation is formed, and who then is not there in time.

A machine of little processor time may take longer to halt than it takes to be silent: all others
would stop for it, go on without it, and stop for it again. So each time it is asked in less often.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

FIRST_S, LONGEST_S = 4.0, 300.0  # after the second miss in a row; it doubles from there


class Callers:
    """As the leader remembers them."""

    def __init__(self) -> None:
        self._asked: str | None = None  # whose call the open ballot answers
        self._misses: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def heard(self, agent: str, now: float) -> bool:
        """Whether its call is to be answered now; then a ballot is opened for it."""
        if now < self._not_before.get(agent, now):
            return False
        self._asked = agent
        return True

    def decided(self, ready: Collection[str], now: float) -> None:
        """A ballot came to its end, with these."""
        asked, self._asked = self._asked, None
        for agent in ready:
            self._misses.pop(agent, None)
            self._not_before.pop(agent, None)
        if asked is not None and asked not in ready:
            misses = self._misses[asked] = self._misses.get(asked, 0) + 1
            if misses > 1:
                self._not_before[asked] = now + min(FIRST_S * 2 ** (misses - 2), LONGEST_S)


class Strangers:
    """Agents in another generation than ours, since when."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def heard(self, agent: str, *, elsewhere: bool, now: float) -> None:
        if elsewhere:
            self._since.setdefault(agent, now)
        else:
            self._since.pop(agent, None)

    def found(self, since: float, is_alive: Callable[[str], bool]) -> list[str]:
        """Those that stay there, and live."""
        return [a for a, at in self._since.items() if at < since and is_alive(a)]

    def clear(self) -> None:
        self._since.clear()
