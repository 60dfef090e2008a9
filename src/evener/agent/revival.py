"""An agent that is started again, by an engine that knows nothing of runs, looks first whether
there is anything left to do: in the record where that is in reach, else by asking the head.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass

from evener import errors
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.state import ENDED
from evener.wire.asking import Asking, understood

log = logging.getLogger(__name__)

ASK_S = 2.0
AGAIN_S = 0.5
KNOWN_S = 10.0  # for a head that starts when we do to have read its record
STATE_PATH = "/v1/state"


@dataclass(frozen=True, slots=True)
class Past:
    """What became of the run while this agent was gone."""

    over: bool
    generation: int  # the number of the last one; -1 where there was none since the start


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


async def look_back(head: str, secret: str) -> Past | None:
    """None where the head does not say: then the run is taken for one that goes on."""
    deadline = time.monotonic() + KNOWN_S
    while True:
        past = await asyncio.to_thread(_ask, head, secret)
        if past is not None or time.monotonic() > deadline:
            return past
        await asyncio.sleep(AGAIN_S)


def _ask(head: str, secret: str) -> Past | None:
    try:
        with contextlib.closing(Asking(head, secret, ASK_S)) as asking, understood():
            told = asking.ask("GET", STATE_PATH)
            return Past(told["phase"] in ENDED, int(told["generation"]))
    except OSError as error:
        log.info("the head does not say how the run is: %s", error)
        return None
