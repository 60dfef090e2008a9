"""Which machines never came to the others."""

from __future__ import annotations

from pathlib import Path

from tests.placement.test_placement import job
from tests.synthetic_run import Script, started

from evener.events import Event, MachineSeen, Record
from evener.launch.silence import LATE_S, Silence
from evener.placement import Place, plan_swarm
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

PLAN = plan_swarm(job(), [Place("1", "oak", 4), Place("2", "elm", 4)])
OAK, ELM = PLAN.agents


def test_who_runs_and_says_nothing_is_named_once(tmp_path: Path) -> None:
    run, number = RunDir(tmp_path), 0

    def tell(*told: Event) -> None:
        nonlocal number
        with Store.open(run.db, write=True) as store:
            for event in told:
                number += 1
                store.append([Record(event, 0.0, "a", number)])

    before = MachineSeen("a01", {})  # when the run was started first
    tell(before, started(Script()), MachineSeen("a00", {}))
    silence = Silence()
    assert silence.silent(run, PLAN) == [ELM]
    assert list(silence.late([ELM], 1000.0)) == []
    assert list(silence.late([ELM], 1001.0 + LATE_S)) == [ELM]
    assert silence.silent(run, PLAN) == []

    silence = Silence()
    tell(MachineSeen("a01", {}))
    assert silence.silent(run, PLAN) == []
