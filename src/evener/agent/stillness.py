"""A script that prints nothing for long: where each of its ranks stands, told once.

Slow is not broken, so nothing is done about it. Stacks come from the processes themselves, in
answer to a signal, and are read from the ends of their logs.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from evener import units
from evener.agent.child import Child
from evener.agent.team import Driven
from evener.events import Alert, Event

WRITE_S = 1.0  # for stacks to be written
AGAIN = 4  # times as long until it is told once more
LOOK_S = 2.0
_STACK_BYTES = 2**16
_FRAME = re.compile(r'^  File "(.+)", line (\d+)(?: in (.+))?$')
_NOT_OWN = ("/site-packages/", "/dist-packages/", "/lib/python3", "<frozen", "/evener/engine/")


class Stillness:
    """Of one agent's processes."""

    def __init__(self, quiet_s: float, emit: Callable[[Event], None]) -> None:
        self._quiet_s, self._emit = quiet_s, emit
        self._patience_s = self._silent_s = quiet_s
        self._printed_at, self._look_at = 0.0, 0.0
        self._sizes: dict[int, int] = {}
        self._asked_at: float | None = None
        self._ends: dict[int, int] = {}  # of the logs, when stacks were asked for

    def begin(self, now: float) -> None:
        self._printed_at, self._patience_s, self._asked_at = now, self._quiet_s, None

    def look(self, team: Sequence[Driven], now: float) -> bool:
        """Whether it has become quiet: then all are asked where they stand."""
        if now < self._look_at or self._asked_at is not None:
            return False
        self._look_at = now + min(LOOK_S, self._quiet_s / 4)
        sizes = _sizes(team)
        if sizes != self._sizes or not sizes:
            self._sizes, self._printed_at, self._patience_s = sizes, now, self._quiet_s
        elif now - self._printed_at >= self._patience_s:
            self._patience_s = AGAIN * (now - self._printed_at)
            self.ask(team, now)
            return True
        return False

    def ask(self, team: Sequence[Driven], now: float) -> None:
        self._ends, self._asked_at = _sizes(team), now
        self._silent_s = max(self._quiet_s, now - self._printed_at)
        for driven in team:
            if driven.child is not None:
                driven.child.dump_stack()

    def tell(self, team: Sequence[Driven], now: float) -> None:
        """Once stacks have had time to be written."""
        if self._asked_at is None or now < self._asked_at + WRITE_S:
            return
        self._asked_at, self._sizes = None, _sizes(team)
        places = {
            d.plan.rank: _place(d, self._ends[d.plan.rank])
            for d in team
            if d.plan.rank in self._ends
        }
        if places:
            text = f"the script has printed nothing for {units.show_duration(self._silent_s)}"
            self._emit(Alert("warning", f"{text}: {_told(places)}; the logs have whole stacks"))


def _told(places: dict[int, str]) -> str:
    """Who stands alone is named first: where ranks wait for one, that is it."""
    count = Counter(places.values())
    groups: dict[str, list[int]] = {}
    for rank in sorted(places, key=lambda r: (count[places[r]], r)):
        groups.setdefault(places[rank], []).append(rank)
    named = (
        f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))} "
        f"stand{'' if len(ranks) > 1 else 's'} {place}"
        for place, ranks in groups.items()
    )
    return "; ".join(named)


def _sizes(team: Sequence[Driven]) -> dict[int, int]:
    """Of the logs of those who run."""
    return {d.plan.rank: _size(d.child) for d in team if d.child is not None}


def _size(child: Child) -> int:
    with contextlib.suppress(OSError):
        return child.log.stat().st_size
    return 0


def _place(driven: Driven, since: int) -> str:
    """`at train.py:31, in all_reduce`: the script's own line, and what it calls there."""
    text = ""
    if driven.child is not None:
        with contextlib.suppress(OSError), driven.child.log.open("rb") as file:
            file.seek(since)
            text = file.read(_STACK_BYTES).decode(errors="replace")
    return place_in(text)


def place_in(text: str) -> str:
    """In stacks as faulthandler writes them: of the thread that comes last, which is the main one,
    the innermost frame that is no library's."""
    threads = re.split(r"^(?:Current thread|Thread) .*\n", text, flags=re.M)
    frames = [m for line in threads[-1].splitlines() if (m := _FRAME.match(line))]
    if not frames:
        return "where its system does not tell"
    own = next((f for f in frames if not any(part in f[1] for part in _NOT_OWN)), frames[0])
    called = frames[0][3] if own is not frames[0] else own[3]
    return f"at {Path(own[1]).name}:{own[2]}" + (f", in {called}" if called else "")
