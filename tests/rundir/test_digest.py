"""The shortcut comes to the state that reading everything comes to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.synthetic_run import Script, committed, formed, records, run_with

from evener import events, state
from evener.events import Record
from evener.rundir.digest import digest, glimpse
from evener.rundir.store import Store


@pytest.mark.parametrize(
    "script",
    [
        Script(steps=1, ranks=1),
        Script(steps=60, ranks=3, lost_at=20),
        Script(steps=900, ranks=4),
        Script(steps=900, ranks=2, lost_at=880),
    ],
)
def test_it_is_the_state(tmp_path: Path, script: Script) -> None:
    run = run_with(tmp_path, records(script))
    with Store.open(run.db, write=False) as store:
        number, found = digest(store)
        assert number == store.last_seq
        whole = state.fold(store.records())
    assert found.loss_smoothed == pytest.approx(whole.loss_smoothed, rel=1e-9)
    assert replace(found, loss_smoothed=None) == replace(whole, loss_smoothed=None)


def test_a_fall_back_is_in_it(tmp_path: Path) -> None:
    """All died; the steps after the checkpoint are done again."""
    script = Script(steps=1200, ranks=1)

    def story() -> Iterator[events.Event]:
        yield from (committed(script, step, 1) for step in range(1, 1001))
        yield formed(script, (0,), 500, 2)
        yield from (committed(script, step, 2) for step in range(501, 601))

    told = [Record(event, 1e9 + i, "x", i + 1) for i, event in enumerate(story())]
    run = run_with(tmp_path, told)
    with Store.open(run.db, write=False) as store:
        _, found = digest(store)
    assert found.step == 600
    assert found.loss_tail == state.fold(told).loss_tail


def test_an_empty_record_is_the_empty_state(tmp_path: Path) -> None:
    run = run_with(tmp_path, [])
    with Store.open(run.db, write=False) as store:
        assert digest(store) == (0, state.EMPTY)
        assert glimpse(store) == state.EMPTY


def test_a_glimpse_has_what_a_list_shows(tmp_path: Path) -> None:
    run = run_with(tmp_path, records(Script(steps=300)))
    with Store.open(run.db, write=False) as store:
        seen = glimpse(store)
        whole = state.fold(store.records())
    for field in ("phase", "step", "total_steps", "loss", "validation", "ended_at"):
        assert getattr(seen, field) == getattr(whole, field), field
    assert [m.name for m in seen.machines] == [m.name for m in whole.machines]
