"""Where pages get what they show: a run, and the runs there are. A head has one, a folder many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from evener.events import Record
from evener.rundir.history import History
from evener.rundir.layout import RunDir
from evener.state import RunState

Ask = Literal["stop", "checkpoint"]
ASKS: tuple[Ask, ...] = get_args(Ask)


class RunSource(Protocol):
    """One run. But for `newest` and `live`, its methods may block: they are called in threads."""

    @property
    def run(self) -> RunDir: ...

    @property
    def live(self) -> bool:
        """Whether its record may still grow. Asked many times a second."""
        ...

    @property
    def acts(self) -> bool:
        """Whether `ask` reaches somebody."""
        ...

    def newest(self) -> int:
        """The number of its last record. Asked many times a second."""
        ...

    async def grown(self, seq: int, most_s: float) -> None:
        """Returns when there is a record after number `seq`, when it is no longer live, or after
        so long; it may be sooner."""
        ...

    def state(self) -> RunState: ...

    def since(self, seq: int) -> list[tuple[int, Record]]:
        """A page of what was recorded after number `seq`."""
        ...

    def history(self) -> History: ...

    def ask(self, what: Ask) -> None:
        """Pass on what a person wants of the run. Raises where nobody hears it."""
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """A run in the list of them."""

    run: RunDir
    state: RunState
    live: bool


class Runs(Protocol):
    """The runs that one server shows. All methods may block."""

    def alone(self) -> str | None:
        """The name of the only run there can be; None where a list makes sense."""
        ...

    def states(self) -> list[Listed]:
        """All of them, each as a list needs it: its numbers of now, not its tails."""
        ...

    def find(self, name: str) -> RunSource | None: ...

    def elsewhere(self, name: str) -> str | None:
        """The address of another server that must be asked for that run."""
        ...
