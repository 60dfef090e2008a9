"""Machines whose containers have ended more often than their engine starts them again.

Its limit is there for what fails as soon as it starts, and counts losses of power as well.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

REST_S = 600.0  # as a rank rests that died again and again


@dataclass(slots=True)
class Worn:
    """Since when each has been down; who has rested for long enough is started once more."""

    _since: dict[str, float] = field(default_factory=dict)

    def rested(self, down: Collection[str], now_s: float) -> list[str]:
        """Of all that are down now, whose time has come. They rest anew should they not come up."""
        self._since = {each: self._since.get(each, now_s) for each in sorted(down)}
        due = [each for each, since in self._since.items() if now_s - since >= REST_S]
        for each in due:
            del self._since[each]
        return due
