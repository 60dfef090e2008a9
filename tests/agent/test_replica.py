"""Copies of a record: what one has and the other lacks is told, and nothing twice."""

from __future__ import annotations

from pathlib import Path

from tests.head.serving import SECRET, in_thread, made, recorded

from evener.agent.replica import Replica
from evener.events import Alert, Record
from evener.rundir.layout import RunDir
from evener.rundir.store import Store


def put(run: RunDir, *numbers: int, source: str = "a00/1") -> None:
    with Store.open(run.db, write=True) as store:
        store.append(Record(Alert("note", f"{n}"), 1.0, source, n) for n in numbers)


def told(run: RunDir) -> list[str]:
    return [r.event.text for r in recorded(run) if isinstance(r.event, Alert)]


def test_what_a_copy_took_while_home_was_away_is_told_there_by_who_was_told(tmp_path: Path) -> None:
    home, replica = made(tmp_path / "home"), Replica(made(tmp_path / "own"))
    put(home, *range(1200))
    with in_thread(home) as head:
        replica.follow(head, SECRET, leads=True)
    replica.prepare()
    assert told(replica.run) == [f"{n}" for n in range(1200)]
    put(replica.run, 1200, 1201)
    put(home, 1201)
    with in_thread(home) as head:
        assert replica.tell(head, SECRET) == 2
        assert replica.tell(head, SECRET) == 0
    assert told(home) == [*(f"{n}" for n in range(1200)), "1201", "1200"]


def test_a_home_that_is_empty_is_told_all_by_the_first_alone(tmp_path: Path) -> None:
    first, second = Replica(made(tmp_path / "first")), Replica(made(tmp_path / "second"))
    old, new = made(tmp_path / "old"), made(tmp_path / "new")
    put(old, 1, 2)
    with in_thread(old) as head:
        first.follow(head, SECRET, leads=True)
        second.follow(head, SECRET, leads=False)
    with in_thread(new) as head:
        second.follow(head, SECRET, leads=False)
        assert told(new) == []
        first.follow(head, SECRET, leads=True)
        assert told(new) == ["1", "2"]
    put(new, 3)
    with in_thread(new) as head:
        second.follow(head, SECRET, leads=False)
    for replica in (first, second):
        replica.close()
    assert told(second.run) == ["1", "2", "3"]


def test_a_head_finds_what_it_needs_beside_the_record(tmp_path: Path) -> None:
    own = made(tmp_path)
    own.job_file.write_text("{}")
    own.cargo.mkdir()
    (own.cargo / "cargo.json").write_text("[]")
    replica = Replica(own)
    replica.prepare()
    replica.prepare()
    assert replica.run.job_file.read_text() == "{}"
    assert (replica.run.cargo / "cargo.json").read_text() == "[]"
    assert replica.run.name == own.name
