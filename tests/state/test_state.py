"""The fold: what views show, whatever order the events of several sources come in."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.synthetic_run import Script, records

from evener import events, state
from evener.events import (
    AgentEnded,
    Alert,
    CheckpointDropped,
    CheckpointWritten,
    DataPrepared,
    Event,
    Exported,
    GenerationFormed,
    MachineLoad,
    MachineSeen,
    RankBuilt,
    RankLost,
    RankParked,
    RankStarted,
    RankTimed,
    Record,
    RunEnded,
    RunStarted,
    SharesChanged,
    SpeedsFitted,
    StepCommitted,
    StopAsked,
    TextSampled,
    Validated,
)
from evener.state import EMPTY, RankView, RunState, apply, changes, fold

STARTED = RunStarted("demo", "demo", "gpt", "text", 2, 1, 32, False, "local")
LOAD = MachineLoad("a0001", None, None, None, None, None, None, None, None, {})
FORMED = GenerationFormed(1, (0, 1), 0, 0, 100, 10)


def step(number: int, loss: float = 0.5, generation: int = 1, seconds: float = 0.5) -> Event:
    return StepCommitted(
        number, number // 10, 32 * number, loss, 32.0, 32, 1e-3, 0.1, seconds, generation
    )


def timed(rank: int, at_step: int = 1) -> RankTimed:
    return RankTimed(rank, at_step, 1, 16, 200.0, 0.01, 0.02, 0.03, 0.01, 0.01, 0.08, 2**20)


def after(*told: Event, start: RunState = EMPTY, time: float = 1000.0) -> RunState:
    return fold((Record(e, time + n, "t", n) for n, e in enumerate(told)), start)


def rank(shown: RunState, number: int) -> RankView:
    return next(r for r in shown.ranks if r.rank == number)


# ------------------------------------------------------------------------------- phases


def test_a_whole_run() -> None:
    shown = fold(records(Script(steps=400, ranks=3)))
    assert shown.phase == "finished"
    assert (shown.step, shown.total_steps) == (400, 400)
    assert [r.state for r in shown.ranks] == ["ended"] * 3
    assert rank(shown, 2).losses == 1
    assert len(shown.loss_tail) == changes.TAIL
    assert shown.exported == "model.safetensors"
    assert shown.best_validation is not None
    assert shown.best_validation.step == 300
    assert shown.validation is not None
    assert shown.validation.step == 400


def test_phases_follow_one_another() -> None:
    shown = EMPTY
    seen = []
    for event in (STARTED, FORMED, step(1), StopAsked("Ctrl-C"), RunEnded("stopped", 1, "asked")):
        shown = after(event, start=shown)
        seen.append(shown.phase)
    assert seen == ["starting", "training", "training", "stopping", "stopped"]
    assert shown.stop_reason == "Ctrl-C"
    assert shown.ended


def test_nothing_revives_a_run_that_has_ended_but_its_start() -> None:
    shown = after(STARTED, FORMED, RunEnded("failed", 1, "", {"code": "E605", "what": "memory"}))
    assert shown.error == {"code": "E605", "what": "memory"}
    late = after(StopAsked("x"), step(2), FORMED, start=shown)
    assert late.phase == "failed"
    assert late.step == 2
    assert late.eta_s is None


def test_an_outcome_of_another_version_is_a_failure() -> None:
    assert after(STARTED, RunEnded("exploded", 1)).phase == "failed"


def test_a_resumed_run_begins_again_and_keeps_its_history() -> None:
    first = after(
        STARTED, RankStarted("a00", 0, 0, 1), FORMED, step(1), step(2),
        CheckpointWritten(2, "checkpoints/2", 9, 0.1, True, 0.5),
        Validated(2, 0, 0.6, 10.0, {}, 0.1, True), RunEnded("failed", 2, "x", {"code": "E604"}),
    )  # fmt: skip
    again = after(replace(STARTED, resumed=True), start=first, time=2000.0)
    assert again.phase == "starting"
    assert (again.error, again.ended_at, again.reason) == (None, None, "")
    assert (again.started_at, again.begun_at) == (1000.0, 2000.0)
    assert again.ranks == ()
    assert (again.step, len(again.loss_tail), len(again.checkpoints)) == (2, 2, 1)
    resumed = after(replace(FORMED, step=1), start=again)
    assert (resumed.step, len(resumed.loss_tail), resumed.validations) == (1, 1, ())
    assert again.best_validation == first.best_validation
    going = after(FORMED, step(3), start=again, time=2001.0)
    assert (going.phase, going.step) == ("training", 3)


def test_what_overtakes_the_start_of_a_resumed_run_stays() -> None:
    first = after(STARTED, RankStarted("a00", 0, 0, 1), RunEnded("stopped", 2))
    early = fold([Record(RankStarted("a01", 1, 0, 7), 2000.5, "a01", 1)], first)
    again = fold([Record(replace(STARTED, resumed=True), 2000.0, "a00", 1)], early)
    assert [r.rank for r in again.ranks] == [1]


# -------------------------------------------------------------------------------- steps


def test_the_step_only_rises() -> None:
    shown = after(STARTED, FORMED, step(1), step(2, 0.25), step(1, 9.0), step(2, 9.0))
    assert (shown.step, shown.loss) == (2, 0.25)
    assert shown.loss_tail == ((1, 0.5), (2, 0.25))


def test_a_commit_of_an_older_generation_changes_nothing() -> None:
    shown = after(
        STARTED, FORMED, step(5), GenerationFormed(2, (0,), 5, 0, 100, 10), step(6, 0.3, 2)
    )
    late = after(step(4, 9.0, 1, 50.0), start=shown)
    assert replace(late, updated_at=shown.updated_at) == shown


def test_skipped_steps_are_counted_once() -> None:
    skipped = StepCommitted(1, 0, 32, math.nan, 32.0, 32, 0.1, None, 0.1, 1, skipped=True)
    shown = after(STARTED, skipped, skipped, step(2))
    assert shown.skipped_steps == 1


def test_speed_is_that_of_the_last_commits() -> None:
    slow = [step(n, seconds=10.0) for n in range(1, 10)]
    fast = [step(n, seconds=0.1) for n in range(10, 10 + changes.SPEED_WINDOW)]
    shown = after(STARTED, FORMED, *slow, *fast)
    assert shown.samples_per_s == pytest.approx(320.0)
    assert shown.step_s == pytest.approx(0.1)
    assert shown.eta_s == pytest.approx((100 - shown.step) * 0.1)


def test_no_speed_from_a_clock_that_stood_still() -> None:
    shown = after(STARTED, FORMED, step(1, seconds=0.0), step(2, seconds=math.nan))
    assert (shown.samples_per_s, shown.eta_s) == (None, None)


def test_the_smoothed_loss_passes_over_what_is_no_number() -> None:
    shown = after(STARTED, step(1, 1.0), step(2, math.nan), step(3, math.inf), step(4, 0.0))
    assert shown.loss_smoothed == pytest.approx(0.9)
    assert shown.loss == 0.0


def test_a_validation_told_late_does_not_replace_a_newer_one() -> None:
    newer, older = (Validated(s, 0, 0.5, 1.0, {}, 0.1, True) for s in (20, 10))
    shown = after(newer, older)
    assert shown.validation is not None
    assert shown.best_validation is not None
    assert (shown.validation.step, shown.best_validation.step) == (20, 20)


# -------------------------------------------------------------------------------- ranks


def test_a_ranks_life() -> None:
    shown = after(RankStarted("a00", 0, 0, 4711))
    assert rank(shown, 0).state == "starting"
    shown = after(RankBuilt(0, "cpu", 2, 812), start=shown)
    assert (rank(shown, 0).state, shown.parameters) == ("built", 812)
    shown = after(FORMED, timed(0, 3), SharesChanged(4, (0, 1), (20, 12), "faster"), start=shown)
    assert (rank(shown, 0).state, rank(shown, 0).share, rank(shown, 1).share) == (
        "training",
        20,
        12,
    )
    shown = after(RankLost("a00", 0, "killed by signal 9"), start=shown)
    assert (rank(shown, 0).state, rank(shown, 0).lost_reason) == ("lost", "killed by signal 9")
    shown = after(RankStarted("a00", 0, 1, 4712), start=shown)
    assert (rank(shown, 0).state, rank(shown, 0).life, rank(shown, 0).pid) == ("starting", 1, 4712)
    shown = after(AgentEnded("a00"), start=shown)
    assert (rank(shown, 0).state, rank(shown, 1).state) == ("ended", "training")


PARKED = RankParked(1, 5, "the run is as fast without it", 12.0, 0.004)


def test_a_parked_rank_stays_so_until_a_generation_names_it() -> None:
    shown = after(STARTED, FORMED, PARKED, timed(1, 6), GenerationFormed(2, (0,), 5, 0, 100, 10))
    assert (rank(shown, 1).state, rank(shown, 1).last_step) == ("parked", 6)
    assert rank(shown, 1).parked_reason == "the run is as fast without it"
    shown = after(GenerationFormed(3, (0, 1), 9, 0, 100, 10), start=shown)
    assert (rank(shown, 1).state, rank(shown, 1).parked_reason) == ("training", "")


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (RankLost("a00", 1, "killed by signal 9"), "lost"),
        (AgentEnded("a00"), "ended"),
        (RunEnded("finished", 9), "ended"),
    ],
)
def test_a_parked_rank_that_is_gone_is_not_parked(event: Event, state: str) -> None:
    shown = after(STARTED, RankStarted("a00", 1, 0, 7), FORMED, PARKED, event)
    assert rank(shown, 1).state == state
    assert rank(after(PARKED, start=shown), 1).state == state


FITTED = SpeedsFitted(8, (0, 1), (20, 12), (0.01, 0.02), (0.001, 0.003), 250.0, 268.0, 258.0)


def test_speeds_are_those_of_the_last_look_and_of_these_ranks() -> None:
    shown = after(STARTED, FORMED, FITTED)
    assert (rank(shown, 1).fixed_s, rank(shown, 1).per_sample_s) == (0.02, 0.003)
    speeds = (shown.measured_samples_per_s, shown.alone_samples_per_s)
    assert (*speeds, shown.possible_samples_per_s) == (250.0, 268.0, 258.0)
    ended = after(RunEnded("finished", 9), start=shown)
    assert ended.alone_samples_per_s == 268.0
    for event in (GenerationFormed(2, (0,), 5, 0, 100, 10), replace(STARTED, resumed=True)):
        assert after(event, start=shown).alone_samples_per_s is None


def test_where_a_step_went_is_told_to_the_end() -> None:
    told = replace(timed(0), hidden_s=0.1, wait_s=0.2, predicted_s=0.3)
    seen = rank(after(told), 0)
    assert (seen.hidden_s, seen.wait_s, seen.predicted_s) == (0.1, 0.2, 0.3)


def test_a_rank_built_before_it_was_said_to_start() -> None:
    shown = after(RankBuilt(0, "cpu", 2, 8), RankStarted("a00", 0, 0, 5))
    assert (rank(shown, 0).state, rank(shown, 0).pid) == ("built", 5)


def test_a_life_that_is_over_does_not_come_back() -> None:
    shown = after(RankStarted("a00", 0, 2, 7), time=1000.0)
    assert after(RankStarted("a00", 0, 1, 6), start=shown, time=900.0).ranks == shown.ranks


def test_an_older_generation_changes_no_rank() -> None:
    shown = after(STARTED, GenerationFormed(3, (0,), 0, 0, 100, 10), RankLost("a00", 1, "x"))
    assert after(FORMED, start=shown).ranks == shown.ranks


def test_ranks_are_in_order_however_they_come() -> None:
    shown = after(*(RankStarted("a00", r, 0, r) for r in (3, 0, 2, 1)))
    assert [r.rank for r in shown.ranks] == [0, 1, 2, 3]


def test_machines_are_shown_by_agent() -> None:
    facts = {"name": "desk", "cpus": 8.0, "memory_bytes": 10**9, "devices": [{"kind": "cuda"}]}
    shown = after(MachineSeen("a01", facts), MachineSeen("a00", {}), AgentEnded("a01"))
    assert [m.agent for m in shown.machines] == ["a00", "a01"]
    assert shown.machines[1].devices == ("cuda",)
    assert shown.machines[1].ended


# ---------------------------------------------------------------------------- the rest


def test_checkpoints_are_those_on_disk() -> None:
    written = [CheckpointWritten(s, f"checkpoints/{s}", 9, 0.1, False, None) for s in (1, 2, 3)]
    shown = after(*written, CheckpointDropped(1, "checkpoints/1"), written[1])
    assert [c.step for c in shown.checkpoints] == [3, 2]


def test_notes_and_texts_and_facts() -> None:
    shown = after(
        DataPrepared("a00", 1000, 100, 0.1), Alert("warning", "hot", 1),
        TextSampled(5, "A", "B"), Exported("model.safetensors", 10),
    )  # fmt: skip
    assert (shown.samples, shown.validation_samples) == (1000, 100)
    assert shown.alerts == (state.AlertView(1001.0, "warning", "hot", 1),)
    assert shown.texts == (state.TextView(5, "A", "B"),)


def test_apply_leaves_the_state_it_was_given_alone() -> None:
    shown = fold(records(Script(steps=30)))
    before = repr(shown)
    apply(shown, Record(step(99), 1e10, "x", 1))
    assert repr(shown) == before
    assert RunState() == EMPTY


def test_to_dict_is_strict_json() -> None:
    shown = after(STARTED, step(1, math.nan), step(2, math.inf), MachineSeen("a00", {"cpus": 2}))
    text = json.dumps(state.to_dict(shown), allow_nan=False)
    assert json.loads(text)["loss"] is None
    assert json.loads(text)["machines"][0]["cpus"] == 2


# --------------------------------------------------------------- any sequence of events

_WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 5)
_JSON = st.recursive(
    st.none() | st.booleans() | _WHOLE | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_TABLE = st.dictionaries(
    st.sampled_from(["name", "devices", "cpus", "memory_bytes", "x"]), _JSON, max_size=4
)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(max_size=5) | st.sampled_from(["a00", "a01", "finished", "x" * 9000]),
    "bool": st.booleans(),
    "int": _WHOLE,
    "float": st.floats() | st.floats(0, 1),
    "int | None": st.none() | _WHOLE,
    "float | None": st.none() | st.floats(),
    "tuple[int, ...]": st.lists(_WHOLE, max_size=4).map(tuple),
    "tuple[float, ...]": st.lists(st.floats(), max_size=4).map(tuple),
    "dict[str, float]": st.dictionaries(st.text(max_size=5), st.floats(), max_size=3),
    "dict[str, Any]": _TABLE,
    "dict[str, Any] | None": st.none() | _TABLE,
}


def _kind(kind: type[Any]) -> st.SearchStrategy[Event]:
    return st.builds(kind, **{n: _VALUES[f.type] for n, f in kind.__dataclass_fields__.items()})


RECORDS = st.lists(
    st.builds(
        Record,
        event=st.one_of([_kind(k) for k in events.KINDS.values()]),
        time=st.floats(0, 1e10),
        source=st.just("s"),
        number=st.integers(0, 100),
    ),
    max_size=15,
)


@settings(max_examples=60)
@given(RECORDS, RECORDS)
def test_folding_can_be_interrupted_anywhere(first: list[Record], second: list[Record]) -> None:
    whole = fold(first + second)
    assert repr(fold(second, fold(first))) == repr(whole)
    one_by_one = EMPTY
    for record in first + second:
        one_by_one = apply(one_by_one, record)
    assert repr(one_by_one) == repr(whole)


@settings(max_examples=60)
@given(RECORDS)
def test_the_step_falls_only_with_a_new_generation_and_what_is_shown_is_sound(
    told: list[Record],
) -> None:
    shown = EMPTY
    for record in told:
        before, shown = shown, apply(shown, record)
        if not isinstance(record.event, GenerationFormed):
            assert shown.step >= before.step
        assert shown.skipped_steps >= before.skipped_steps
    assert len({r.rank for r in shown.ranks}) == len(shown.ranks)
    assert shown.eta_s is None or shown.eta_s >= 0 or math.isnan(shown.eta_s)
    json.dumps(state.to_dict(shown), allow_nan=False)


def test_the_state_stays_small_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANKS", "MACHINES", "METRICS"):
        monkeypatch.setattr(changes, name, 8)

    def size(value: Any) -> int:
        if isinstance(value, dict):
            return sum(size(k) + size(v) for k, v in value.items())
        if isinstance(value, list | tuple):
            return sum(map(size, value))
        return len(value) if isinstance(value, str) else 1

    def flood(n: int) -> list[Event]:
        big = "x" * 50_000
        return [
            step(n), RankStarted("a00", n, 0, n), RankLost("a00", n, big), timed(n),
            MachineSeen(f"a{n:04}", {"name": big, "devices": [{"name": big}] * n}),
            replace(LOAD, gpus={str(k): {"name": big} for k in range(n)}),
            CheckpointWritten(n, f"c{n:04}", 1, 1.0, True, None), TextSampled(n, big, big),
            Validated(n, 0, 1.0, 1.0, {str(k): 1.0 for k in range(n)}, 1.0, True),
            Alert("note", big),
            GenerationFormed(n, tuple(range(n, n + 50)), n, 0, 9, 9), StopAsked(big),
            RunEnded("failed", n, big, {str(k): big for k in range(20)}),
        ]  # fmt: skip

    few = after(*(e for n in range(1, 300) for e in flood(n)))
    many = after(*(e for n in range(300, 400) for e in flood(n)), start=few)
    assert size(asdict(many)) <= size(asdict(few))
    assert (len(many.ranks), len(many.machines)) == (8, 8)
