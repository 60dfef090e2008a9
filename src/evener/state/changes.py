"""What each event changes in the state of its run, and the fold of them all.

The state is bounded: of every history it keeps the end, of every text a decent length.
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from evener import events
from evener.events import Record
from evener.state import machines
from evener.state.bounds import MACHINES, METRICS, RANKS, cut, cut_all
from evener.state.views import (
    EMPTY,
    ENDED,
    AlertView,
    CheckpointView,
    MachineView,
    RankView,
    RunState,
    TextView,
    ValidationView,
)

SPEED_WINDOW = 20  # commits that the shown speed is over
TAIL = 200  # points of a loss curve
VALIDATIONS, ALERTS, TEXTS, CHECKPOINTS = 50, 50, 5, 100
SMOOTHING = 0.1  # weight of a new loss in the smoothed one
_UNFITTED = dict.fromkeys(
    ("measured_samples_per_s", "alone_samples_per_s", "possible_samples_per_s")
)


def apply(state: RunState, record: Record) -> RunState:
    """The state after one more record. `state` stays as it is."""
    return fold((record,), state)


def fold(records: Iterable[Record], state: RunState = EMPTY) -> RunState:
    """The state after all of `records`, in the order the store took them in."""
    draft = copy.copy(state)  # ours until it is returned: changed in place, then frozen for ever
    for record in records:
        change = _CHANGES.get(type(record.event))
        if change is not None:
            change(draft, record.event, record.time)
        if draft.updated_at is None or record.time > draft.updated_at:
            _put(draft, updated_at=record.time)
    return draft


def _put(draft: RunState, **changes: Any) -> None:
    for name, value in changes.items():
        object.__setattr__(draft, name, value)


# ------------------------------------------------------------------------- run and machines


def _run_started(draft: RunState, event: events.RunStarted, time: float) -> None:
    # What other sources told of this start may have come in before it; what is older is over.
    ranks = tuple(r for r in draft.ranks if r.heard_at >= time)
    first = draft.started_at is None
    _put(
        draft, phase="starting", run=event.run, job=event.job, model=event.model, data=event.data,
        place=event.place, ranks_asked=event.ranks, agents_asked=event.agents,
        global_batch=event.global_batch, resumed=event.resumed, begun_at=time, ended_at=None,
        started_at=time if first else draft.started_at, ranks=ranks, generation=-1, lead=-1,
        stop_reason="", reason="", error=None, speeds=(), samples_per_s=None, step_s=None,
        eta_s=None, **_UNFITTED,
    )  # fmt: skip


def _machine_seen(draft: RunState, event: events.MachineSeen, time: float) -> None:
    _set_machine(draft, machines.seen(event))


def _machine_load(draft: RunState, event: events.MachineLoad, time: float) -> None:
    known = _machine(draft, event.agent)
    if known.load is None or time >= known.load.time:
        _set_machine(draft, replace(known, load=machines.load(event, time)))


def _data_prepared(draft: RunState, event: events.DataPrepared, time: float) -> None:
    _put(draft, samples=event.samples, validation_samples=event.validation_samples)


def _agent_ended(draft: RunState, event: events.AgentEnded, time: float) -> None:
    _set_machine(draft, replace(_machine(draft, event.agent), ended=True))
    ranks = (replace(r, state="ended") if r.agent == event.agent else r for r in draft.ranks)
    _put(draft, ranks=tuple(ranks))


def _stop_asked(draft: RunState, event: events.StopAsked, time: float) -> None:
    if not draft.ended:
        _put(draft, phase="stopping", stop_reason=cut(event.reason))


def _run_ended(draft: RunState, event: events.RunEnded, time: float) -> None:
    phase = event.outcome if event.outcome in ENDED else "failed"
    _put(
        draft,
        phase=phase,
        ended_at=time,
        reason=cut(event.reason),
        error=cut_all(event.error),
        ranks=tuple(replace(r, state="ended") for r in draft.ranks),
        eta_s=None,
    )


def _machine(draft: RunState, agent: str) -> MachineView:
    return next((m for m in draft.machines if m.agent == agent), MachineView(agent))


def _set_machine(draft: RunState, view: MachineView) -> None:
    others = (m for m in draft.machines if m.agent != view.agent)
    in_order = sorted((*others, view), key=lambda m: m.agent)
    _put(draft, machines=tuple(in_order[:MACHINES]))


# ---------------------------------------------------------------------------------- ranks


def _rank_started(draft: RunState, event: events.RankStarted, time: float) -> None:
    known = _rank(draft, event.rank)
    if event.life < known.life and time < known.heard_at:
        return  # of a life that is over
    over = event.life != known.life or known.state in ("lost", "ended")
    state = "starting" if over else known.state
    changed = replace(known, agent=event.agent, life=event.life, pid=event.pid, state=state)
    _set_ranks(draft, time, changed)


def _rank_built(draft: RunState, event: events.RankBuilt, time: float) -> None:
    known = _rank(draft, event.rank)
    built = replace(known, device=event.device, threads=event.threads, state="built")
    _set_ranks(draft, time, built)
    _put(draft, parameters=event.parameters)


def _rank_lost(draft: RunState, event: events.RankLost, time: float) -> None:
    known = _rank(draft, event.rank)
    lost = replace(
        known,
        agent=event.agent,
        state="lost",
        losses=known.losses + 1,
        lost_reason=cut(event.reason),
    )
    _set_ranks(draft, time, lost)


def _rank_timed(draft: RunState, event: events.RankTimed, time: float) -> None:
    known = _rank(draft, event.rank)
    computing = known.state in ("starting", "built")
    timed = replace(
        known,
        state="training" if computing else known.state,
        share=event.share,
        samples_per_s=event.samples_per_s,
        last_step=max(event.step, known.last_step),
        data_s=event.data_s,
        forward_s=event.forward_s,
        backward_s=event.backward_s,
        exchange_s=event.exchange_s,
        optimizer_s=event.optimizer_s,
        step_s=event.step_s,
        memory_bytes=event.memory_bytes,
        hidden_s=event.hidden_s,
        wait_s=event.wait_s,
        predicted_s=event.predicted_s,
    )
    _set_ranks(draft, time, timed)


def _rank_parked(draft: RunState, event: events.RankParked, time: float) -> None:
    """Until a generation names it again; one that is gone by now does not come back by this."""
    known = _rank(draft, event.rank)
    if known.state not in ("lost", "ended"):
        parked = replace(known, state="parked", parked_reason=cut(event.reason))
        _set_ranks(draft, time, parked)


def _rank_left_out(draft: RunState, event: events.RankLeftOut, time: float) -> None:
    """Until its next process starts."""
    known = replace(_rank(draft, event.rank), agent=event.agent)
    _set_ranks(draft, time, replace(known, state="parked", parked_reason=cut(event.reason)))


def _speeds_fitted(draft: RunState, event: events.SpeedsFitted, time: float) -> None:
    fitted = dict(
        zip(event.ranks, zip(event.fixed_s, event.per_sample_s, strict=False), strict=False)
    )
    ranks = (
        replace(r, fixed_s=fitted[r.rank][0], per_sample_s=fitted[r.rank][1])
        if r.rank in fitted
        else r
        for r in draft.ranks
    )
    _put(
        draft,
        ranks=tuple(ranks),
        measured_samples_per_s=event.samples_per_s,
        alone_samples_per_s=event.alone_samples_per_s,
        possible_samples_per_s=event.possible_samples_per_s,
    )


def _shares_changed(draft: RunState, event: events.SharesChanged, time: float) -> None:
    shares = dict(zip(event.ranks, event.shares, strict=False))
    ranks = (replace(r, share=shares.get(r.rank, r.share)) for r in draft.ranks)
    _put(draft, ranks=tuple(ranks))


def _generation_formed(draft: RunState, event: events.GenerationFormed, time: float) -> None:
    if event.generation < draft.generation:
        return
    if event.generation > draft.generation and 0 <= event.step < draft.step:
        _fall_back(draft, event.step)
    known = {r.rank: r for r in draft.ranks}
    members = (known.get(rank, RankView(rank)) for rank in event.ranks)
    _set_ranks(draft, time, *(replace(m, state="training", parked_reason="") for m in members))
    if event.generation > draft.generation:
        _put(draft, **_UNFITTED)  # it was said of other ranks
    _put(
        draft,
        generation=event.generation,
        lead=event.lead,
        total_steps=event.total_steps,
        steps_per_epoch=event.steps_per_epoch,
        global_batch=event.global_batch or draft.global_batch,
    )
    _train(draft)


def _fall_back(draft: RunState, step: int) -> None:
    """What lies past `step` will be done again: all who had it are gone, or stopped at once."""
    _put(
        draft,
        step=step,
        loss_tail=tuple(p for p in draft.loss_tail if p[0] <= step),
        validations=tuple(v for v in draft.validations if v.step <= step),
    )


def _rank(draft: RunState, rank: int) -> RankView:
    at = bisect_left(draft.ranks, rank, key=_number)
    known = draft.ranks[at : at + 1]
    return known[0] if known and known[0].rank == rank else RankView(rank)


def _set_ranks(draft: RunState, time: float, *views: RankView) -> None:
    """They stay in the order of their numbers: of a thousand, one more report moves none."""
    ranks = list(draft.ranks)
    for view in views:
        at = bisect_left(ranks, view.rank, key=_number)
        known = at < len(ranks) and ranks[at].rank == view.rank
        ranks[at : at + known] = [replace(view, heard_at=max(time, view.heard_at))]
    _put(draft, ranks=tuple(ranks[:RANKS]))


def _number(view: RankView) -> int:
    return view.rank


# ------------------------------------------------------------------------------- training


def _train(draft: RunState) -> None:
    if draft.phase == "starting":
        _put(draft, phase="training")


def _step_committed(draft: RunState, event: events.StepCommitted, time: float) -> None:
    if event.generation >= draft.generation:
        _train(draft)
        _measure_speed(draft, event)
    if event.step <= draft.step:
        return  # told before: by another side, or before a fall back to a checkpoint
    _put(
        draft,
        step=event.step,
        epoch=event.epoch,
        cursor=event.cursor,
        loss=event.loss,
        loss_smoothed=_smooth(draft.loss_smoothed, event.loss),
        lr=event.lr if math.isfinite(event.lr) else None,
        grad_norm=event.grad_norm,
        metrics=dict(list(event.metrics.items())[:METRICS]),
        skipped_steps=draft.skipped_steps + event.skipped,
        loss_tail=_tail(draft.loss_tail, (event.step, event.loss), TAIL),
    )
    _expect_end(draft)


def _measure_speed(draft: RunState, event: events.StepCommitted) -> None:
    if not (math.isfinite(event.seconds) and event.seconds > 0):
        return
    speeds = _tail(draft.speeds, (event.samples, event.seconds), SPEED_WINDOW)
    seconds = sum(s for _, s in speeds)
    samples = sum(n for n, _ in speeds)
    _put(draft, speeds=speeds, samples_per_s=samples / seconds, step_s=seconds / len(speeds))


def _expect_end(draft: RunState) -> None:
    """Steps to go at the present speed; validation and checkpoints are not foreseen."""
    left = max(draft.total_steps - draft.step, 0)
    known = draft.total_steps and draft.step_s is not None and not draft.ended
    _put(draft, eta_s=left * (draft.step_s or 0.0) if known else None)


def _smooth(old: float | None, new: float) -> float | None:
    if not math.isfinite(new):
        return old
    smoothed = new if old is None else old + SMOOTHING * (new - old)
    return smoothed if math.isfinite(smoothed) else new


def _validated(draft: RunState, event: events.Validated, time: float) -> None:
    metrics = dict(list(event.metrics.items())[:METRICS])
    view = ValidationView(event.step, event.epoch, event.loss, metrics, event.best)
    if draft.validation is not None and view.step < draft.validation.step:
        return
    others = tuple(v for v in draft.validations if v.step != view.step)  # it may be told twice
    _put(draft, validation=view, validations=_tail(others, view, VALIDATIONS))
    if view.best:
        _put(draft, best_validation=view)


def _text_sampled(draft: RunState, event: events.TextSampled, time: float) -> None:
    view = TextView(event.step, cut(event.prompt), cut(event.text))
    _put(draft, texts=_tail(draft.texts, view, TEXTS))


def _checkpoint_written(draft: RunState, event: events.CheckpointWritten, time: float) -> None:
    view = CheckpointView(event.step, event.path, event.size_bytes, event.best, event.metric, time)
    others = tuple(c for c in draft.checkpoints if c.path != event.path)
    _put(draft, checkpoints=_tail(others, view, CHECKPOINTS))


def _checkpoint_home(draft: RunState, event: events.CheckpointHome, time: float) -> None:
    known = (replace(c, home=c.home or c.step == event.step) for c in draft.checkpoints)
    _put(draft, checkpoints=tuple(known))


def _checkpoint_dropped(draft: RunState, event: events.CheckpointDropped, time: float) -> None:
    kept = (c for c in draft.checkpoints if c.path != event.path)
    _put(draft, checkpoints=tuple(kept))


def _exported(draft: RunState, event: events.Exported, time: float) -> None:
    _put(draft, exported=event.path)


def _alert(draft: RunState, event: events.Alert, time: float) -> None:
    view = AlertView(time, event.level, cut(event.text), event.rank)
    _put(draft, alerts=_tail(draft.alerts, view, ALERTS))


# --------------------------------------------------------------------------------- bounds


def _tail(values: tuple[Any, ...], value: Any, limit: int) -> tuple[Any, ...]:
    return (*values[-(limit - 1) :], value)


_CHANGES: dict[type[Any], Callable[[RunState, Any, float], None]] = {
    events.RunStarted: _run_started,
    events.MachineSeen: _machine_seen,
    events.MachineLoad: _machine_load,
    events.DataPrepared: _data_prepared,
    events.RankStarted: _rank_started,
    events.RankBuilt: _rank_built,
    events.RankLost: _rank_lost,
    events.GenerationFormed: _generation_formed,
    events.StepCommitted: _step_committed,
    events.RankTimed: _rank_timed,
    events.SharesChanged: _shares_changed,
    events.SpeedsFitted: _speeds_fitted,
    events.RankParked: _rank_parked,
    events.RankLeftOut: _rank_left_out,
    events.Validated: _validated,
    events.TextSampled: _text_sampled,
    events.CheckpointWritten: _checkpoint_written,
    events.CheckpointHome: _checkpoint_home,
    events.CheckpointDropped: _checkpoint_dropped,
    events.Exported: _exported,
    events.Alert: _alert,
    events.StopAsked: _stop_asked,
    events.AgentEnded: _agent_ended,
    events.RunEnded: _run_ended,
}
