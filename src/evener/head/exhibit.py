"""The head's one run as its pages see it: what comes in is shown at once.

Charts read the record over a connection of their own, so that none keeps an event waiting.
"""

from __future__ import annotations

from evener.dashboard.source import Ask, Listed, RunSource
from evener.events import Record
from evener.head.keeper import Keeper
from evener.rundir.history import History
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.state import RunState


class Exhibit:
    """A `dashboard.RunSource` and the `dashboard.Runs` that has only this one."""

    def __init__(self, run: RunDir, keeper: Keeper, reader: Store) -> None:
        self.run = run
        self.live = True
        self._keeper = keeper
        self._history = History(reader)

    def close(self) -> None:
        """The head goes: pages are told so, and end."""
        self.live = False
        self._keeper.news.ring()

    # ------------------------------------------------------------------------- of the run

    @property
    def acts(self) -> bool:
        return not self._keeper.run_ended

    def newest(self) -> int:
        return self._keeper.newest

    async def grown(self, seq: int, most_s: float) -> None:
        def is_so() -> bool:
            return not self.live or self._keeper.newest > seq

        await self._keeper.news.wait(is_so, most_s)

    def state(self) -> RunState:
        return self._keeper.state()

    def since(self, seq: int) -> list[tuple[int, Record]]:
        return self._keeper.since(seq)

    def history(self) -> History:
        return self._history

    def ask(self, what: Ask) -> None:
        self._keeper.ask(what)

    # ------------------------------------------------------------------------ of all runs

    def alone(self) -> str:
        return self.run.name

    def states(self) -> list[Listed]:
        return [Listed(self.run, self.state(), self.live)]

    def find(self, name: str) -> RunSource | None:
        return self if name == self.run.name else None

    def elsewhere(self, name: str) -> None:
        """It is here."""
