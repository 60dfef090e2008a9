"""The state of a run without reading all of it: a long run's record has millions of events.

Of what is told again and again only the end shows in a state: the last steps, the last report of
each rank and machine. All else is rare, and read whole. What the shortcut cannot know it takes
from the tables: how many steps were skipped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from evener import events, state
from evener.events import MachineSeen, RankStarted, Record
from evener.rundir.store import Store
from evener.state import RunState
from evener.state.changes import TAIL

# How many of the last records are enough for one source of them.
_FREQUENT = {
    "StepCommitted": 2 * TAIL,  # as many as a smoothed loss remembers
    "RankTimed": 50,
    "MachineLoad": 2,
    "ScalarsWritten": 1,  # a state has none of it
    "SpeedsFitted": TAIL,
    "SharesChanged": 2,
}
_MACHINES = 256
_SEEN = ("RunStarted", "RankBuilt", "GenerationFormed", "StepCommitted", "Validated", "RunEnded")
_RARE = tuple(kind for kind in events.KINDS if kind not in _FREQUENT)


def digest(store: Store) -> tuple[int, RunState]:
    """The state up to some record, and that record's number: fold what comes after it."""
    newest = store.last_seq
    found, seq = dict[int, Record](), 0
    while page := store.since(seq, kinds=_RARE):
        seq = page[-1][0]
        found |= page
    for kind, enough in _FREQUENT.items():
        found |= store.last(kind, enough * (_sources(kind, found.values()) or 1))
    made = state.fold(found[number] for number in sorted(found) if number <= newest)
    return newest, replace(made, skipped_steps=len(store.series("skipped")))


def glimpse(store: Store) -> RunState:
    """As much of the state as a list of runs shows: of each kind the newest record alone, but for
    machines."""
    found = {number: record for kind in _SEEN for number, record in store.last(kind, 1)}
    found |= store.last("MachineSeen", _MACHINES)
    return state.fold(found[number] for number in sorted(found))


def _sources(kind: str, rare: Iterable[Record]) -> int:
    """How many tell records of that kind."""
    match kind:
        case "RankTimed":
            return len({r.event.rank for r in rare if isinstance(r.event, RankStarted)})
        case "MachineLoad":
            return len({r.event.agent for r in rare if isinstance(r.event, MachineSeen)})
    return 1
