"""Who of the pool's machines is there, as they ask again and again what there is to do.

A machine's question is held until there is news for it, or `HOLD_S` have passed; then it asks
anew. One whose connection ends is away at once, one that is silent (asleep, cut off) when its next
question is overdue. Used by the server's loop alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from evener.pool.paths import Ways

HOLD_S = 10.0
NOWHERE = Ways("", "", "")
GRACE_S = 5.0  # between two questions; a busy machine is slow to ask


@dataclass(slots=True)
class Presence:
    """What a machine has said last."""

    heard_at: float = float("-inf")
    asking: int = 0
    ways: Ways = NOWHERE
    running: tuple[str, ...] = ()  # wishes
    detours: int = 0  # connections that carry its datagrams: its UDP does not come through
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Attendance:
    """By the identity of a member."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._known: dict[str, Presence] = {}

    def of(self, member_id: str) -> Presence:
        return self._known.setdefault(member_id, Presence())

    def heard(self, member_id: str) -> Presence:
        found = self.of(member_id)
        found.heard_at = self._now()
        return found

    def is_there(self, member_id: str) -> bool:
        """While it asks it was heard when its question came, and no answer is due yet."""
        found = self.of(member_id)
        limit_s = HOLD_S + GRACE_S if found.asking else GRACE_S
        return self._now() - found.heard_at < limit_s

    def silent_s(self, member_id: str) -> float | None:
        """None for one that was not heard since the server has started."""
        found = self.of(member_id)
        return None if found.heard_at == float("-inf") else self._now() - found.heard_at

    def gone(self, member_id: str) -> None:
        """Its connection ended while it asked."""
        self.of(member_id).heard_at = self._now() - GRACE_S - HOLD_S

    def forget(self, member_id: str) -> None:
        self._known.pop(member_id, None)

    def tell(self, member_id: str) -> None:
        """There is news for it."""
        self.of(member_id).news.set()

    def tell_all(self) -> None:
        for found in self._known.values():
            found.news.set()

    async def news(self, member_id: str) -> None:
        """Until there is some, or it is time to be asked again."""
        found = self.of(member_id)
        found.news.clear()
        try:
            async with asyncio.timeout(HOLD_S):
                await found.news.wait()
        except TimeoutError:
            pass
