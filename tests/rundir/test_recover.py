"""Spool files come into the record whole, once, and in any state their writer left them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evener import events
from evener.events import Alert, RankTimed, Record, StepCommitted
from evener.rundir.layout import RunDir
from evener.rundir.recover import CHUNK_BYTES, recover
from evener.rundir.store import Store


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "demo")
    made.create()
    return made


def note(number: int, text: str = "x") -> Record:
    return Record(Alert("note", text), 1000.0 + number, "a00/1", number)


def line(record: Record) -> bytes:
    return json.dumps(events.to_dict(record)).encode() + b"\n"


def spool(run: RunDir, content: bytes, name: str = "a00.1-001") -> Path:
    path = run.logs / f"spool_{name}.jsonl"
    with path.open("ab") as file:
        file.write(content)
    return path


def numbers(run: RunDir) -> list[int]:
    with Store.open(run.db, write=False) as store:
        return [r.number for r in store.records()]


def test_without_a_spool_nothing_is_touched(run: RunDir) -> None:
    assert recover(run) == 0
    assert not run.db.exists()


def test_a_spool_is_imported_and_stays_for_its_writer(run: RunDir) -> None:
    path = spool(run, b"".join(line(note(n)) for n in range(1, 6)))
    assert recover(run) == 5
    assert numbers(run) == [1, 2, 3, 4, 5]
    assert path.exists()


def test_what_the_head_had_already_is_not_doubled(run: RunDir) -> None:
    with Store.open(run.db, write=True) as store:
        store.append([note(1), note(2)])
    spool(run, b"".join(line(note(n)) for n in (2, 3)))
    assert recover(run) == 1
    assert numbers(run) == [1, 2, 3]


def test_recovering_again_imports_what_was_added_only(run: RunDir) -> None:
    path = spool(run, line(note(1)))
    assert recover(run) == 1
    stamp = run.db.stat().st_mtime_ns
    assert recover(run) == 0
    assert run.db.stat().st_mtime_ns == stamp
    spool(run, line(note(2)))
    with Store.open(run.db, write=False) as store:
        assert store.imported_bytes(path.name) == len(line(note(1)))
    assert recover(run) == 1
    assert numbers(run) == [1, 2]


def test_a_line_half_written_waits_for_its_other_half(run: RunDir) -> None:
    second = line(note(2))
    spool(run, line(note(1)) + second[:20])
    assert recover(run) == 1
    spool(run, second[20:])
    assert recover(run) == 1
    assert numbers(run) == [1, 2]


def test_a_damaged_line_keeps_the_others_in(run: RunDir) -> None:
    damage = [b"{nonsense\n", b"[]\n", b"\xff\n", b"[" * 100_000 + b"\n", b'{"kind": "Alert"}\n']
    spool(run, line(note(1)) + b"".join(damage) + line(note(2)))
    assert recover(run) == 2
    assert numbers(run) == [1, 2]


def test_a_kind_of_another_version_is_passed_over(run: RunDir) -> None:
    spool(run, b'{"kind": "FromTheFuture", "time": 1, "source": "a", "number": 9}\n')
    assert recover(run) == 0


def test_several_spools_and_more_than_one_chunk(run: RunDir) -> None:
    text = "y" * 10_000
    count = CHUNK_BYTES // 10_000 + 50
    spool(run, b"".join(line(note(n, text)) for n in range(count)))
    spool(run, b"".join(line(note(n)) for n in range(count, count + 5)), "a01.7-001")
    assert recover(run) == count + 5
    assert sorted(numbers(run)) == list(range(count + 5))


def test_the_metrics_of_the_ranks_are_written_too(run: RunDir) -> None:
    step = StepCommitted(1, 0, 32, 0.5, 32.0, 32, 0.1, None, 0.1, 1)
    timed = RankTimed(0, 1, 1, 32, 300.0, 0.0, 0.1, 0.1, 0.0, 0.0, 0.2, 0)
    spool(run, line(Record(step, 1.0, "r0", 1)) + line(Record(timed, 1.0, "r0", 2)))
    recover(run)
    assert [r["loss"] for r in json.loads(run.rank_metrics(0).read_text())] == [0.5]
