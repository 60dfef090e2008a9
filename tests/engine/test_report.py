"""Reports are batched, numbered, and what a dead lead left unsaid is said by the next."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from evener import orders
from evener.engine import report
from evener.engine.report import REMEMBERED_S, Reporter
from evener.engine.step import Spent
from evener.events import StepCommitted
from evener.orders import Order
from evener.rank.vitals import Vitals


@dataclass(frozen=True)
class Clock:
    """Stands for the module `time` in the reporter's eyes alone."""

    now: float

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


def commit(step: int) -> StepCommitted:
    return StepCommitted(
        step=step, epoch=0, cursor=step, loss=1.0, count=1.0, samples=1, lr=0.1, grad_norm=None,
        seconds=0.1, generation=1,
    )  # fmt: skip


def events(said: list[Order], kind: str) -> list[int]:
    reports = [o for o in said if isinstance(o, orders.Report)]
    return [e["step"] for r in reports for e in r.events if e["kind"] == kind]


def test_only_the_lead_publishes_steps_but_every_rank_its_times() -> None:
    for lead in (True, False):
        said: list[Order] = []
        reporter = Reporter(3, 0, 3600, said.append)
        for step in range(1, 4):
            spent = Spent(forward_s=0.2, backward_s=0.3, samples=10)
            reporter.agree(commit(step), lead)
            reporter.committed(step, spent, 1.0)
        reporter.flush(3)
        assert events(said, "StepCommitted") == ([1, 2, 3] if lead else [])
        report = [o for o in said if isinstance(o, orders.Report)][-1]
        timed = next(e for e in report.events if e["kind"] == "RankTimed")
        assert (timed["rank"], timed["steps"], timed["share"]) == (3, 3, 10)
        assert timed["samples_per_s"] == 20.0
        assert timed["forward_s"] == pytest.approx(0.2)


def test_numbers_rise_and_sources_differ_between_lives() -> None:
    said: list[Order] = []
    for life in (0, 1):
        reporter = Reporter(0, life, 3600, said.append)
        for step in (1, 2):
            reporter.emit(commit(step))
        reporter.flush(2)
    records = [e for o in said if isinstance(o, orders.Report) for e in o.events]
    assert [r["number"] for r in records] == [1, 2, 1, 2]
    assert len({r["source"] for r in records}) == 2


def test_sources_differ_where_a_machine_begins_anew() -> None:
    """In a container that starts again ranks have the lives, and the pids, that they had."""
    said: list[Order] = []
    for _ in range(2):
        reporter = Reporter(0, 0, 3600, said.append)
        reporter.emit(commit(1))
        reporter.flush(1)
    records = [e for o in said if isinstance(o, orders.Report) for e in o.events]
    assert len({r["source"] for r in records}) == 2


def test_what_a_lead_may_not_have_said_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Order] = []
    reporter = Reporter(1, 0, 3600, said.append)
    for step in range(20):
        monkeypatch.setattr(report, "time", Clock(step))
        reporter.agree(commit(step), lead=False)
    monkeypatch.setattr(report, "time", Clock(1e6))  # however long after: all stood still
    reporter.repeat()
    reporter.flush(0)
    assert events(said, "StepCommitted") == list(range(19 - int(REMEMBERED_S), 20))


def test_what_the_system_says_is_reported_and_slowness_is_told() -> None:
    said: list[Order] = []
    looks = [Vitals(seconds=2.0, queued_s=0.0, running_s=0.5, temperature_c=61.0)]
    reporter = Reporter(3, 0, 3600, said.append, look=lambda: looks[-1])
    reporter.begin((0, 3), lead=False)
    spent = Spent(forward_s=0.2, backward_s=0.3, samples=10)
    for step in range(40):
        if step == 20:
            looks.append(Vitals(seconds=2.0, queued_s=1.2))
            spent = Spent(forward_s=0.4, backward_s=0.6, samples=10)
        reporter.committed(step, spent, 1.0)
        reporter.flush(step)
    told = [e for o in said if isinstance(o, orders.Report) for e in o.events]
    [alert] = [e for e in told if e["kind"] == "Alert"]
    assert alert["rank"] == 3
    assert alert["text"] == (
        "rank 3 takes 2.0 times as long as before: "
        "another program had its processor 60 % of the time"
    )
    first = next(e for e in told if e["kind"] == "RankTimed")
    assert (first["cpu_share"], first["temperature_c"]) == (1.0, 61.0)
    assert (first["throttled_share"], first["major_faults_per_s"]) == (None, None)
