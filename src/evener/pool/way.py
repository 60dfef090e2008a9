"""Where a pool's server answers, for a machine that has joined: its address may change meanwhile.

The places that are known are tried in turn; when none has answered for a while, it is asked for
elsewhere. Whoever is found is believed only once it has answered with the pool's certificate.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from evener.wire.calls import Server
from evener.wire.frames import join_address

log = logging.getLogger("evener.pool")

LOST_S = 8.0  # a server that is started again is back sooner
AGAIN_S = 20.0  # between two searches
MOST = 4  # places that are remembered
Search = Callable[[str], Sequence[Server]]


class Way:
    """`home` is where it has answered last, `trying` where it is asked now. Of one thread, but for
    these two, which others read."""

    def __init__(
        self, servers: Sequence[Server], search: Search, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._servers, self._search, self._now = list(servers), search, now
        self.home = self.trying = servers[0]
        self._next, self._missed = 0, 0
        self._answered_at = now()
        self._search_at = float("-inf")

    @property
    def known(self) -> tuple[Server, ...]:
        """That which answers first."""
        return (self.home, *(s for s in self._servers if s != self.home))[:MOST]

    def answered(self) -> bool:
        """Whether it is another than before that does."""
        self._missed, self._answered_at = 0, self._now()
        moved, self.home = self.trying != self.home, self.trying
        return moved

    def missed(self) -> None:
        """The next one is tried; when all were, and it has been long, others are looked for."""
        self._missed += 1
        now = self._now()
        all_tried, long = self._missed >= len(self._servers), now - self._answered_at > LOST_S
        if all_tried and long and now >= self._search_at:
            self._look()
        self._next = (self._next + 1) % len(self._servers)
        self.trying = self._servers[self._next]

    def _look(self) -> None:
        """What is found is tried first."""
        found = self._search(self.home.pin)
        self._search_at = self._now() + AGAIN_S
        new = [s for s in (replace(f, pin=self.home.pin) for f in found) if s not in self._servers]
        if new:
            where = ", ".join(join_address(s.host, s.port) for s in new)
            log.info("the pool may be at %s now", where)
            self._servers = [*self.known, *new]
            self._next = self._servers.index(new[0]) - 1
