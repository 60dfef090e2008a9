"""The secrets of codes: for how long and how often one lets a machine in. Decides only.

Kept is a digest, never the secret. One that has had its time is remembered for a while, so that
who has it is told what became of it; to anybody else all of them look like none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

REMEMBERED_S = 7 * 86_400.0
TRIES, WINDOW_S = 10, 60.0  # wrong ones from an address, before it has to wait


@dataclass(frozen=True, slots=True)
class Token:
    """`uses` is how often it still lets in. Times are seconds since 1970, of the server's clock."""

    id: str
    digest: str
    made_at: float
    expires_at: float
    uses: int
    revoked: bool = False

    def why_not(self, now: float) -> str:
        """Empty while it lets in."""
        if self.revoked:
            return "was revoked"
        if now >= self.expires_at:
            return "has expired"
        return "" if self.uses > 0 else "was used as often as it may be"


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def find(tokens: Sequence[Token], secret: str) -> Token | None:
    wanted = digest(secret)
    return next((token for token in tokens if token.digest == wanted), None)


def used(token: Token) -> Token:
    return replace(token, uses=token.uses - 1)


def remembered(tokens: Sequence[Token], now: float) -> tuple[Token, ...]:
    return tuple(token for token in tokens if now < token.expires_at + REMEMBERED_S)


class Guesses:
    """Who has tried how many secrets that are none, by address. Seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._wrong: dict[str, list[float]] = {}

    def note(self, address: str, now: float) -> None:
        self._wrong = {a: kept for a, times in self._wrong.items() if (kept := _recent(times, now))}
        self._wrong.setdefault(address, []).append(now)

    def too_many(self, address: str, now: float) -> bool:
        return len(_recent(self._wrong.get(address, []), now)) >= TRIES


def _recent(times: list[float], now: float) -> list[float]:
    return [at for at in times if now - at < WINDOW_S][-TRIES:]
