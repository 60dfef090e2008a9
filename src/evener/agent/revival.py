"""An agent that is started again, by an engine that knows nothing of runs, looks first whether
there is anything left to do: in the record where that is in reach, else by asking the head.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from evener import errors
from evener.agent.company import Company
from evener.agent.naming import Names
from evener.events import Alert, Event
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.state import ENDED
from evener.wire.asking import Asking, understood

log = logging.getLogger(__name__)

ASK_S = 2.0
ALONE = "reaches none of those that train, nor they it: it waits (a firewall there?)"
STILL_S = 10.0  # without a step: nobody trains
LONE_S = 90.0  # at the start of a run: others begin without those that are missing before that
STATE_PATH = "/v1/state"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a head is asked, and how long until more is made of what it says."""

    again_s: float = 0.5
    known_s: float = 10.0  # for a head that starts when we do to have read its record
    alone_s: float = 10.0  # that is no passing state


USUAL = Pace()


@dataclass(frozen=True, slots=True)
class Past:
    """What became of the run while this agent was gone."""

    over: bool
    generation: int  # the number of the last one; -1 where there was none since the start
    step: int = 0


def has_ended(run: RunDir) -> bool:
    """As far as the record says; not so where it cannot be read."""
    if not run.db.is_file():
        return False
    try:
        with Store.open(run.db, write=False) as store:
            return store.has_ended
    except errors.EvenerError as error:
        log.info("the record does not say how the run is: %s", error)
        return False


async def look_back(
    head: Callable[[], str],
    secret: str,
    company: Company,
    names: Names,
    say: Callable[[Event], None],
    pace: Pace = USUAL,
) -> Past | None:
    """`head` tells where it is. None where it does not say: the run is taken for one that goes on.

    Who has met nobody must not train beside others that do: a firewall may be between them.
    It is held here, and says so, for as long as the head takes in steps.
    """
    past = await _known(head, secret, pace)
    began = since = time.monotonic()
    told = False
    while past is not None and not past.over and not company.met:
        await asyncio.sleep(pace.again_s)
        now = await asyncio.to_thread(_ask, head(), secret)
        trains = now is not None and now.generation >= 0 and now.step > past.step
        limit_s = LONE_S if past.generation < 0 else STILL_S
        if trains:
            since = time.monotonic()
            if not told and since - began > pace.alone_s:
                told = True
                say(Alert("warning", f"{names.of(names.me)} {ALONE}"))
        elif time.monotonic() - since > limit_s:
            break
        past = now or past
    return past


async def _known(head: Callable[[], str], secret: str, pace: Pace) -> Past | None:
    deadline = time.monotonic() + pace.known_s
    while True:
        past = await asyncio.to_thread(_ask, head(), secret)
        if past is not None or time.monotonic() > deadline:
            return past
        await asyncio.sleep(pace.again_s)


def _ask(head: str, secret: str) -> Past | None:
    try:
        with contextlib.closing(Asking(head, secret, ASK_S)) as asking, understood():
            told = asking.ask("GET", STATE_PATH)
            step = int(told.get("step", 0))
            return Past(told["phase"] in ENDED, int(told["generation"]), step)
    except OSError as error:
        log.info("the head does not say how the run is: %s", error)
        return None
