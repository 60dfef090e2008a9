"""The record: idempotent, readable while written, translated when it fails."""

from __future__ import annotations

import math
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener import errors
from evener.events import (
    AgentEnded,
    Alert,
    CheckpointDropped,
    CheckpointWritten,
    Event,
    GenerationFormed,
    RankBuilt,
    RankLost,
    RankParked,
    RankStarted,
    RankTimed,
    Record,
    RunEnded,
    SharesChanged,
    StepCommitted,
    Validated,
)
from evener.rundir.store import Store


def step(number: int, loss: float = 0.5, generation: int = 1) -> StepCommitted:
    return StepCommitted(
        number, 0, 32 * number, loss, 32.0, 32, 1e-3, None, 0.1, generation, {"accuracy": 0.9}
    )


def timed(rank: int, at_step: int) -> RankTimed:
    return RankTimed(rank, at_step, 1, 16, 200.0, 0.01, 0.02, 0.03, 0.01, 0.01, 0.08, 2**20)


def record(event: Event, number: int, source: str = "a00/1") -> Record:
    return Record(event, 1000.0 + number, source, number)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


@pytest.fixture
def store(db: Path) -> Iterator[Store]:
    with Store.open(db, write=True) as opened:
        yield opened


# ---------------------------------------------------------------------------- the record


def test_what_is_appended_is_read_back_in_order(store: Store) -> None:
    records = [record(step(n), n) for n in range(1, 8)]
    assert len(store.append(records)) == 7
    assert list(store.records()) == records
    assert [r for _, r in store.since(0, limit=3)] == records[:3]
    seq = store.since(0, limit=3)[-1][0]
    assert [r for _, r in store.since(seq)] == records[3:]
    assert store.since(store.since(0)[-1][0]) == []


def test_a_record_seen_before_is_passed_over(store: Store) -> None:
    first = [record(step(1), 1), record(step(2), 2)]
    assert len(store.append(first)) == 2
    assert len(store.append([*first, record(step(3), 3)])) == 1
    assert len(store.append([record(step(4), 1, source="a01/1")])) == 1
    assert len(list(store.records())) == 4


def test_a_repeated_record_does_not_touch_the_tables(store: Store) -> None:
    first = record(step(1, loss=0.5), 1)
    store.append([first])
    store.append([record(step(1, loss=0.25), 2)])
    store.append([first])
    assert store.series("loss") == [(1, 0.25)]


def test_one_bad_record_keeps_all_of_its_batch_out(store: Store) -> None:
    with pytest.raises(ValueError, match="surrogate"):
        store.append([record(step(1), 1), Record(Alert("note", "x"), 0.0, "\ud800", 2)])
    assert list(store.records()) == []
    assert len(store.append([record(step(1), 1)])) == 1


def test_kinds_narrow_what_is_read(store: Store) -> None:
    store.append([record(step(1), 1), record(timed(0, 1), 2), record(Alert("note", "hm"), 3)])
    found = store.since(0, kinds=("RankTimed", "Alert"))
    assert [type(r.event) for _, r in found] == [RankTimed, Alert]


def test_newest_finds_the_last_of_its_kinds(store: Store) -> None:
    assert store.newest("RunEnded", "Alert") is None
    store.append([record(RunEnded("stopped", 1), 1), record(Alert("note", "x"), 2)])
    newest = store.newest("RunEnded", "Alert")
    assert newest is not None
    assert newest.event == Alert("note", "x")


def test_kinds_of_another_version_do_not_hide_what_follows(store: Store, db: Path) -> None:
    other = sqlite3.connect(db)
    with other:
        other.executemany(
            "INSERT INTO events (source, number, kind, time, body) VALUES (?, ?, ?, ?, ?)",
            [("z", n, "FromTheFuture", 1.0, "{}") for n in range(10)],
        )
    other.close()
    store.append([record(step(1), 1)])
    assert [r for _, r in store.since(0, limit=3)] == [record(step(1), 1)]
    assert len(list(store.records())) == 1


def test_numbers_that_are_none_come_back_as_nan(store: Store) -> None:
    store.append([record(step(1, loss=math.nan), 1), record(step(2, loss=math.inf), 2)])
    (_, first), (_, second) = store.series("loss")
    assert math.isnan(first)
    assert second == math.inf
    event = next(iter(store.records())).event
    assert isinstance(event, StepCommitted)
    assert math.isnan(event.loss)  # for ever: JSON has one word for all that is not finite


# ---------------------------------------------------------------------------- the tables


def test_series_hold_every_number_of_a_step(store: Store) -> None:
    store.append([record(step(n, loss=1 / n), n) for n in (1, 2, 4)])
    store.append([record(Validated(4, 1, 0.7, 100.0, {"accuracy": 0.6}, 1.0, True), 9)])
    assert store.series("loss") == [(1, 1.0), (2, 0.5), (4, 0.25)]
    assert store.series("accuracy") == [(1, 0.9), (2, 0.9), (4, 0.9)]
    assert [v for _, v in store.series("samples_per_s")] == pytest.approx([320.0] * 3)
    assert store.series("validation.loss") == [(4, 0.7)]
    assert store.series("validation.accuracy") == [(4, 0.6)]
    assert store.series("grad_norm") == []
    assert store.values("loss", 3, 3)[-1][1] == 0.5
    assert store.values("loss", 0, 0) == []
    assert store.last_step("loss") == 4
    assert store.last_step("nothing") == -1


def test_a_step_computed_again_counts_once(store: Store) -> None:
    store.append([record(step(1), 1), record(step(2, loss=0.4), 2)])
    store.append([record(step(2, loss=0.41), 1, source="a01/9")])
    assert store.series("loss") == [(1, 0.5), (2, 0.41)]


def test_the_ranks_table_follows_a_ranks_life(store: Store, db: Path) -> None:
    def row() -> tuple[object, ...]:
        with sqlite3.connect(db) as other:
            found = other.execute(
                "SELECT agent, life, pid, device, state, last_step, share FROM ranks"
            ).fetchall()
        other.close()
        assert len(found) == 1
        return tuple(found[0])

    numbers = iter(range(1, 100))

    def tell(event: Event) -> None:
        store.append([record(event, next(numbers))])

    tell(RankStarted("a00", 0, 1, 4711))
    assert row() == ("a00", 1, 4711, None, "starting", None, None)
    tell(RankBuilt(0, "cpu", 2, 1000))
    tell(GenerationFormed(1, (0,), 0, 0, 10, 5))
    tell(timed(0, 3))
    assert row() == ("a00", 1, 4711, "cpu", "training", 3, 16)
    tell(SharesChanged(4, (0,), (20,), "faster"))
    tell(RankParked(0, 4, "no use", 1.0, 0.0))
    assert row()[4] == "parked"
    tell(RankLost("a00", 0, "killed"))
    assert row() == ("a00", 1, 4711, "cpu", "lost", 3, 20)
    tell(RankStarted("a00", 0, 2, 4712))
    tell(AgentEnded("a00"))
    assert row() == ("a00", 2, 4712, "cpu", "ended", 3, 20)


def test_the_checkpoints_table_remembers_what_was_dropped(store: Store, db: Path) -> None:
    store.append(
        [
            record(CheckpointWritten(10, "checkpoints/10", 5, 0.1, True, 0.5), 1),
            record(CheckpointWritten(20, "checkpoints/20", 5, 0.1, False, None), 2),
            record(CheckpointDropped(10, "checkpoints/10"), 3),
        ]
    )
    other = sqlite3.connect(db)
    found = other.execute("SELECT step, best, dropped FROM checkpoints ORDER BY step").fetchall()
    other.close()
    assert found == [(10, 1, 1), (20, 0, 0)]


# --------------------------------------------------------------------- many who look on


def test_a_reader_before_the_writer_finds_nothing_and_then_everything(db: Path) -> None:
    with Store.open(db, write=False) as reader:
        assert reader.since(0) == []
        assert reader.series("loss") == []
        db.touch()  # SQLite's own first moment: a file of no bytes
        assert list(reader.records()) == []
        with Store.open(db, write=True) as writer:
            writer.append([record(step(1), 1)])
            assert list(reader.records()) == [record(step(1), 1)]


def test_two_readers_follow_a_writer(db: Path) -> None:
    total = 2000
    seen: dict[str, list[int]] = {"one": [], "two": []}

    def follow(name: str) -> None:
        with Store.open(db, write=False) as reader:
            seq = 0
            while len(seen[name]) < total:
                page = reader.since(seq, limit=300)
                seen[name] += [found.number for _, found in page]
                seq = page[-1][0] if page else seq

    threads = [threading.Thread(target=follow, args=(name,)) for name in seen]
    for thread in threads:
        thread.start()
    with Store.open(db, write=True) as writer:
        for start in range(0, total, 20):
            writer.append([record(step(n), n) for n in range(start, start + 20)])
    for thread in threads:
        thread.join()
    assert seen["one"] == list(range(total))
    assert seen["two"] == list(range(total))


def test_a_reader_cannot_write(db: Path, store: Store) -> None:
    store.append([record(step(1), 1)])
    with Store.open(db, write=False) as reader:
        with pytest.raises(AssertionError):
            reader.append([record(step(2), 2)])
        assert reader._db is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader._db.execute("DELETE FROM events")
        assert len(list(reader.records())) == 1


def test_close_leaves_one_whole_file(db: Path) -> None:
    with Store.open(db, write=True) as store:
        store.append([record(step(1), 1)])
    assert [p.name for p in db.parent.iterdir()] == ["run.db"]


WRITER = """
import sys
from pathlib import Path
from evener.events import Alert, Record
from evener.rundir.store import Store
store = Store.open(Path(sys.argv[1]), write=True)
number = 0
while True:
    number += 1
    store.append([Record(Alert("note", "x" * 500), 1.0, "w", number)])
    print(number, flush=True)
"""


@pytest.mark.slow
def test_nothing_that_was_stored_is_lost_with_the_writer(db: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(db)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    told = [writer.stdout.readline() for _ in range(200)]
    writer.send_signal(signal.SIGKILL)
    told += writer.stdout.readlines()
    writer.wait()
    writer.stdout.close()
    last = int(told[-1]) if told[-1].endswith("\n") else int(told[-2])
    with Store.open(db, write=False) as reader:
        numbers = [r.number for r in reader.records()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= last


# ------------------------------------------------------------------------------ failures


@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_no_database_is_StoreDamaged(db: Path, write: bool) -> None:
    db.write_bytes(b"this is no database, whatever its name says. " * 100)
    with pytest.raises(errors.StoreDamaged) as caught:
        Store.open(db, write=write)
    assert caught.value.where == str(db)


def test_a_torn_database_is_StoreDamaged(db: Path) -> None:
    with Store.open(db, write=True) as store:
        store.append([record(step(n), n) for n in range(2000)])
    data = bytearray(db.read_bytes())
    data[4096 * 3 :] = b"\xa5" * (len(data) - 4096 * 3)
    db.write_bytes(data)
    with Store.open(db, write=False) as reader, pytest.raises(errors.StoreDamaged):
        list(reader.records())


@pytest.mark.parametrize("write", [True, False])
def test_another_programs_database_is_left_alone(db: Path, write: bool) -> None:
    other = sqlite3.connect(db)
    other.execute("CREATE TABLE events (mine)")
    other.close()
    before = db.read_bytes()
    with pytest.raises(errors.StoreDamaged, match="another program"):
        Store.open(db, write=write)
    assert db.read_bytes() == before


def test_a_record_of_another_format_is_StoreDamaged(db: Path) -> None:
    Store.open(db, write=True).close()
    other = sqlite3.connect(db)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(errors.StoreDamaged, match="99"):
        Store.open(db, write=False)


def test_a_damaged_body_is_StoreDamaged(db: Path, store: Store) -> None:
    store.append([record(step(1), 1)])
    other = sqlite3.connect(db)
    with other:
        other.execute("UPDATE events SET body = '{\"step\": 1}'")
    other.close()
    with pytest.raises(errors.StoreDamaged, match="StepCommitted"):
        store.since(0)


def test_a_full_disk_is_DiskFull_and_leaves_the_record_whole(store: Store) -> None:
    store.append([record(step(1), 1)])
    assert store._db is not None
    store._db.execute("PRAGMA max_page_count = 20")  # SQLite's own word for a full disk
    big = [record(Alert("note", "x" * 4000), n) for n in range(2, 100)]
    with pytest.raises(errors.DiskFull):
        store.append(big)
    assert list(store.records()) == [record(step(1), 1)]
    store._db.execute("PRAGMA max_page_count = 100000")
    assert len(store.append(big)) == 98


def test_two_writers_at_once_are_told(
    db: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evener.rundir.store.BUSY_S", 0.05)
    assert store._db is not None
    store._db.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.RunActive):
        Store.open(db, write=True)
    store._db.execute("ROLLBACK")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.NotPermitted) as caught:
        Store.open(tmp_path / "missing" / "run.db", write=True)
    assert "missing" in caught.value.where
