"""What the head makes of its record now and then: files of others, and blocks for charts."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from tests import synthetic_run
from tests.synthetic_run import Script

from evener import state
from evener.events import Record
from evener.head import keeper as keeping
from evener.head.keeper import Keeper
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

TABLES = ("metric", "timing")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "demo")
    made.create()
    return made


def kept(run: RunDir) -> None:
    """A head's work on a short run."""
    with Store.open(run.db, write=True) as store:
        keeper = Keeper(run, store)
        try:
            keeper.take(list(synthetic_run.records(Script(steps=60))))
            keeper.write_metrics()
        finally:
            keeper.close()


def test_charts_are_settled_and_ranks_have_their_files(run: RunDir) -> None:
    kept(run)
    db = sqlite3.connect(run.db)
    marks = [db.execute(f"SELECT count(*) FROM {kind}_marks").fetchone() for kind in TABLES]
    blocks = [db.execute(f"SELECT count(*) FROM {kind}_blocks").fetchone()[0] for kind in TABLES]
    db.close()
    assert marks == [(0,), (0,)]
    assert all(blocks)
    assert len(json.loads(run.rank_metrics(0).read_text())) == 60


def test_tensorboards_files_are_there_for_who_asked(run: RunDir) -> None:
    run.job_file.write_text(json.dumps({"log": {"tensorboard": True}}))
    kept(run)
    [file] = run.tensorboard.glob("*tfevents*")
    assert file.stat().st_size > 60 * 100


def test_who_did_not_ask_has_none(run: RunDir) -> None:
    run.job_file.write_text("{}")
    kept(run)
    assert not run.tensorboard.exists()


def test_who_follows_is_told_everything_once_from_memory_or_from_disk(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what another has written in between, and what is too old to be remembered."""
    told = list(synthetic_run.records(Script(steps=60)))
    third = len(told) // 3
    monkeypatch.setattr(keeping, "RECENT", third)
    with Store.open(run.db, write=True) as store:
        store.append(told[:10])
        keeper = Keeper(run, store)
        keeper.take(told[10:third])
        keeper.take(told[5:third])  # again: nothing of it is new
        store.append(told[third : third + 7])
        keeper.take(told[third + 7 :])
        for start in (0, 5, 10, third - 1, third + 3, third + 7, len(told) - 3, len(told)):
            seq, found = start, list[Record]()
            while page := keeper.since(seq):
                assert [number for number, _ in page] == [*range(seq + 1, page[-1][0] + 1)]
                seq = page[-1][0]
                found += [record for _, record in page]
            assert found == told[start:]
        assert keeper.newest == store.last_seq == len(told)
        assert keeper.state() == state.fold(told)
        keeper.close()
