"""The beginning of a run whose processes somebody else starts: it is recorded, or there is none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import Enum

from evener import errors, placement, state
from evener.config.load import job_from_json
from evener.launch import project
from evener.launch.record import record, started
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.rundir.recover import recover
from evener.rundir.store import Store
from evener.state import RunState

PARTING_S = 30.0  # for the containers of a run that has ended to go
_POLL_S = 0.5


class Begun(Enum):
    """What became of the wish to train."""

    new = "new"
    resumed = "resumed"
    going = "going"
    finished = "finished"
    found = "it trains, and its record is elsewhere"


def begin(
    run: RunDir, answers: Callable[[RunDir], bool] = project.answers
) -> tuple[Begun, RunState]:
    """Record that the run begins or goes on. With the state as it was before.

    A run that trains is left alone, and one that has finished stays as it is.
    """
    _check_rights(run)
    job = job_from_json(run.job_file.read_text(encoding="utf-8"))
    plan = placement.from_dict(layout.read_json(run.plan_file))
    if plan.place not in (project.PLACE, project.STACK):
        raise errors.RunActive(
            f"{run.name} has gone on outside of docker compose (as {plan.place})",
            where=str(run.plan_file),
            fix=f"go on there: `evener resume {run.name}`",
        )
    before = _state(run)
    if before.begun_at is not None and before.phase != "finished":
        if _is_going(run, before, answers):
            return Begun.going, before
        recover(run)  # before the new start is recorded: an old end must not come after it
        before = _state(run)
    if before.phase == "finished":
        return Begun.finished, before
    begun = Begun.new if before.begun_at is None else Begun.resumed
    if begun is Begun.new and plan.place == project.STACK and answers(run):
        begun = Begun.found  # agents wait for a head before they answer anybody: it had another
    record(run, started(run, job, plan, resumed=begun is not Begun.new))
    return begun, before


def _check_rights(run: RunDir) -> None:
    if not os.access(run.path, os.W_OK) or not os.access(run.job_file, os.R_OK):
        raise errors.NotPermitted(
            f"containers may not write the folder of {run.name}: it is not theirs",
            where=str(run.path),
            fix="EVENER_UID=$(id -u) EVENER_GID=$(id -g) docker compose up, as the folder's owner",
        )


def _is_going(run: RunDir, known: RunState, answers: Callable[[RunDir], bool]) -> bool:
    """Whether its containers train. Those of a run that has ended are given time to go."""
    deadline = time.monotonic() + (PARTING_S if known.ended else 0.0)
    while answers(run):
        if time.monotonic() > deadline:
            return True
        time.sleep(_POLL_S)
    return False


def _state(run: RunDir) -> RunState:
    with Store.open(run.db, write=False) as store:
        return state.fold(store.records())
