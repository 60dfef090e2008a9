"""A rank that does not help stands aside, and is back as soon as it would."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evener import orders
from evener.engine import acquaint, parking
from evener.engine.parking import RETRY_S, Aside
from evener.shares import Speed
from tests.engine.rehearsal import Player, Stage, job

FAST, SNAIL = 0.001, 1.0  # seconds for a sample


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def said(player: Player, kind: type[orders.Order]) -> bool:
    return any(isinstance(order, kind) for order in player.link.said)


def test_a_hopeless_rank_waits_until_it_is_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = {0: FAST, 1: SNAIL}
    looks: list[float] = []
    adaptive = job(balance={"policy": "adaptive"}, train={"global_batch": 200})
    with Stage(adaptive, tmp_path, 2) as stage:
        ranks = {id(p.training.worker): p.rank for p in stage.players}

        def rehearse(worker: Any, _: Any, samples: int, __: int | None = None) -> float:
            return 0.01 + samples * costs[ranks[id(worker)]]

        def look(*args: Any) -> float:
            looks.append(rehearse(*args))
            return looks[-1]

        monkeypatch.setattr(acquaint, "rehearse", rehearse)
        monkeypatch.setattr(parking, "rehearse", look)
        monkeypatch.setattr(parking, "PROBE_S", 0.05)
        fast, snail = stage.players
        stage.form([fast, snail])
        wait(lambda: len(looks) > 2)
        assert said(snail, orders.Parked)
        assert not said(snail, orders.Unparked)
        (parked,) = fast.link.events("RankParked")
        assert parked["rank"] == 1
        assert "200 s alone" in parked["reason"]
        costs[1] = FAST
        wait(lambda: said(snail, orders.Unparked))
        stage.form([fast, snail])
        done = stage.finish([fast, snail])
        assert [d.outcome for d in done] == ["finished"] * 2
        first = fast.link.events("SharesChanged")[0]
        assert first["ranks"] == [0, 1]
        assert first["shares"] == pytest.approx([100, 100], abs=5)  # by its own word


def test_a_parked_rank_is_there_at_once_when_the_others_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stage(job(balance={"policy": "adaptive"}), tmp_path, 2) as stage:
        fast, snail = stage.players
        slow = id(snail.training.worker)
        monkeypatch.setattr(
            acquaint, "rehearse", lambda w, _, n, __=None: n * (SNAIL if id(w) == slow else FAST)
        )
        stage.form([fast, snail])
        wait(lambda: said(snail, orders.Parked))
        generation = stage.form([snail])
        assert [m.rank for m in generation.members] == [1]
        (done,) = stage.finish([snail])
        assert done.outcome == "finished"
        assert snail.training.worker.progress.step == 12


def test_who_was_slow_is_back_at_its_first_look_and_who_was_far_once_in_a_while() -> None:
    near = Aside(Speed(0.0, 0.01), (Speed(0.0, 0.01),), 200, exchange_s=0.1)
    assert near.has_use()
    near.own = Speed(0.0, 2.0)
    assert not near.has_use()
    near.waited_s = RETRY_S
    assert not near.has_use()
    far = Aside(Speed(0.0, 0.01), (Speed(0.0, 0.01),), 200, exchange_s=2.0)
    assert not far.has_use()
    far.waited_s = RETRY_S
    assert far.has_use()
