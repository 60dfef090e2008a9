"""The outbox: never waits, never loses, never doubles, whatever the head does meanwhile."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.head.serving import (
    SECRET,
    address_of,
    bound,
    in_process,
    in_thread,
    made,
    recorded,
)

from evener import events
from evener.errors import DiskFull
from evener.events import Alert, Event, Record
from evener.head.keeper import Keeper
from evener.rundir.layout import RunDir
from evener.rundir.recover import recover
from evener.rundir.store import Store
from evener.wire import outbox as outbox_room
from evener.wire.outbox import Outbox
from evener.wire.spool import Spool

PATIENCE_S = 30.0


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return made(tmp_path)


@pytest.fixture
def nowhere() -> str:
    """An address where nobody listens."""
    with bound() as listening:
        return address_of(listening)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that does not answer counts as away immediately."""
    monkeypatch.setattr(outbox_room, "AWAY_S", 0.0)
    monkeypatch.setattr(outbox_room, "BACK_OFF_MOST_S", 0.2)


def note(number: int) -> Alert:
    return Alert("note", f"number {number}")


def texts(run: RunDir) -> list[str]:
    return [r.event.text for r in recorded(run) if isinstance(r.event, Alert)]


def expected(count: int) -> list[str]:
    return [f"number {n}" for n in range(count)]


def spooled(run: RunDir) -> int:
    return sum(len(path.read_bytes().splitlines()) for path in run.spools())


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def box(address: str, run: RunDir, agent: str = "a00") -> Outbox:
    return Outbox(address, SECRET, agent, run.spool(agent))


# ----------------------------------------------------------------- while the head is there


def test_events_arrive_in_order_and_stamped(run: RunDir) -> None:
    with in_thread(run) as address, box(address, run) as outbox:
        for n in range(1200):
            outbox.put(note(n))
        assert outbox.flush(PATIENCE_S)
        assert texts(run) == expected(1200)
    found = recorded(run)
    assert [r.number for r in found] == list(range(1, 1201))
    assert {r.source for r in found} == {outbox.source}
    assert outbox.source.startswith("a00/")
    assert run.spools() == []


def test_they_go_without_being_asked(run: RunDir) -> None:
    with in_thread(run) as address, box(address, run) as outbox:
        outbox.put(note(0))
        wait_for(lambda: texts(run) == expected(1))


def test_leaving_the_with_is_a_flush(run: RunDir) -> None:
    with in_thread(run) as address:
        with box(address, run) as outbox:
            for n in range(700):
                outbox.put(note(n))
        assert texts(run) == expected(700)


def test_forwarded_events_keep_their_own_stamp(run: RunDir) -> None:
    record = Record(note(0), 123.0, "rank-0/abc", 17)
    with in_thread(run) as address, box(address, run) as outbox:
        outbox.forward(events.to_dict(record))
        outbox.forward(events.to_dict(record))
        assert outbox.flush(PATIENCE_S)
    assert recorded(run) == [record]


def test_two_lives_of_one_agent_do_not_collide(run: RunDir) -> None:
    with in_thread(run) as address:
        for n in range(2):
            with box(address, run) as outbox:
                outbox.put(note(n))
    assert texts(run) == expected(2)


def test_many_threads_may_put(run: RunDir) -> None:
    with in_thread(run) as address, box(address, run) as outbox:

        def put() -> None:
            for n in range(200):
                outbox.put(note(n))

        threads = [threading.Thread(target=put) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outbox.flush(PATIENCE_S)
    assert sorted(r.number for r in recorded(run)) == list(range(1, 1001))


def test_signs_of_life_go_without_events(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_room, "ALIVE_S", 0.1)
    with in_thread(run, silence_s=2.0) as address, box(address, run) as outbox:
        time.sleep(2.5)
        outbox.put(note(0))
        assert outbox.flush(PATIENCE_S)  # the head has not ended for silence
    assert texts(run) == expected(1)


# --------------------------------------------------------------------- what is refused


def test_an_event_that_is_refused_does_not_keep_the_others(run: RunDir) -> None:
    with in_thread(run) as address, box(address, run) as outbox:
        for n in range(50):
            outbox.put(note(n))
            if n == 20:
                outbox.forward({"kind": "StepCommitted", "step": "many"})
        assert outbox.flush(PATIENCE_S)
        wait_for(lambda: len(texts(run)) == 51)
    assert texts(run)[:50] == expected(50)
    assert "could not be recorded" in texts(run)[50]


@pytest.mark.parametrize("value", [{"x": object()}, {"x": "y" * (outbox_room.EVENT_BYTES + 1)}])
def test_what_cannot_be_sent_at_all_is_told(run: RunDir, value: dict[str, Any]) -> None:
    with in_thread(run) as address, box(address, run) as outbox:
        outbox.forward({"kind": "Alert"} | value)
        outbox.put(note(0))
        assert outbox.flush(PATIENCE_S)
        wait_for(lambda: len(texts(run)) == 2)
    assert any("could not be recorded" in text for text in texts(run))


# ------------------------------------------------------------------ while the head is away


def test_put_does_not_wait_for_a_head_that_hangs(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_room, "REQUEST_S", 0.5)
    with bound() as silent, ExitStack() as stack:
        outbox = stack.enter_context(box(address_of(silent), run))
        for n in range(5000):
            outbox.put(note(n))
        assert not outbox.flush(0.1)
        assert outbox._thread.is_alive()
    recover(run)
    assert texts(run) == expected(5000)


@pytest.mark.usefixtures("at_once")
def test_a_head_that_comes_late_gets_everything_in_order(run: RunDir) -> None:
    with bound() as listening:
        address = address_of(listening)
    with box(address, run) as outbox:
        for n in range(300):
            outbox.put(note(n))
        wait_for(lambda: spooled(run) == 300)
        outbox.put(note(300))
        wait_for(lambda: spooled(run) == 301)
        with in_process(run, port=int(address.rpartition(":")[2])):
            outbox.put(note(301))
            assert outbox.flush(PATIENCE_S)
        assert texts(run) == expected(302)
        wait_for(lambda: run.spools() == [])


@pytest.mark.usefixtures("at_once")
def test_what_is_left_at_the_end_rests_in_the_spool(run: RunDir, nowhere: str) -> None:
    with box(nowhere, run) as outbox:
        for n in range(40):
            outbox.put(note(n))
        assert not outbox.flush(0.2)
    assert spooled(run) == 40
    assert recover(run) == 40
    assert texts(run) == expected(40)


def test_too_many_for_memory_go_to_the_spool(
    run: RunDir, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_room, "AWAY_S", 1e9)
    monkeypatch.setattr(outbox_room, "MEMORY_EVENTS", 100)
    with box(nowhere, run) as outbox:
        for n in range(1000):
            outbox.put(note(n))
        wait_for(lambda: spooled(run) >= 900)
        wait_for(lambda: len(outbox._lines) <= 100)
    recover(run)
    assert texts(run) == expected(1000)


@pytest.mark.usefixtures("at_once")
def test_a_wrong_secret_loses_nothing(run: RunDir) -> None:
    with in_thread(run) as address:
        with Outbox(address, "another secret", "a00", run.spool("a00")) as outbox:
            outbox.put(note(0))
            wait_for(lambda: spooled(run) == 1)
        assert texts(run) == []
    recover(run)
    assert texts(run) == expected(1)


@pytest.mark.usefixtures("at_once")
def test_a_spool_that_cannot_be_written_keeps_events_in_memory(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Spool, lines: list[bytes]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "append", full)
    with bound() as listening:
        address = address_of(listening)
    with box(address, run) as outbox:
        for n in range(30):
            outbox.put(note(n))
        wait_for(lambda: len(outbox._lines) == 30)
        with in_process(run, port=int(address.rpartition(":")[2])):
            assert outbox.flush(PATIENCE_S)
    assert texts(run) == expected(30)


def test_what_neither_head_nor_disk_takes_is_counted_once_memory_is_full(
    run: RunDir, nowhere: str
) -> None:
    spool = run.path / "a folder that is not there" / "spool.jsonl"
    outbox = Outbox(nowhere, SECRET, "a00", spool)
    for n in range(outbox_room.MEMORY_MOST_EVENTS + 100):
        outbox.put(note(n))
    with outbox:
        wait_for(lambda: outbox.dropped == 100)
        outbox.put(note(-1))
    assert outbox.dropped == 102  # that one, and the alert that some are lost
    kept = [json.loads(line) for line in outbox._lines]
    assert kept[0]["text"] == "number 102"
    alerts = [e["text"] for e in kept if e["level"] == "warning"]
    assert alerts == ["neither the head nor agent a00's disk takes events: its oldest are lost"]


@pytest.mark.slow
def test_a_head_killed_in_mid_run_costs_no_event_and_doubles_none(run: RunDir) -> None:
    """Two agents tell; the head is killed twice, replaced once, and gone at the end."""
    with in_process(run) as first, ExitStack() as stack:
        port = int(first.address.rpartition(":")[2])
        boxes = [stack.enter_context(box(first.address, run, a)) for a in ("a00", "a01")]
        told = threading.Event()

        def tell(outbox: Outbox) -> None:
            number = 0
            while not told.is_set():
                outbox.put(note(number))
                number += 1
                time.sleep(0.001)

        threads = [threading.Thread(target=tell, args=(b,)) for b in boxes]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(recorded(run)) > 100)
        first.kill()
        wait_for(lambda: spooled(run) > 1000)
        with in_process(run, port=port) as second:
            before = len(recorded(run))
            wait_for(lambda: len(recorded(run)) > before + 2000)
            second.kill()
        wait_for(lambda: spooled(run) > 1000)
        told.set()
        for thread in threads:
            thread.join()
    recover(run)
    found = recorded(run)
    for outbox in boxes:
        numbers = [r.number for r in found if r.source == outbox.source]
        assert numbers == list(range(1, outbox._number + 1))
    assert recover(run) == 0


def test_an_answer_that_is_lost_makes_no_double(run: RunDir) -> None:
    """The head has stored a batch and the connection breaks: the batch comes again."""
    with in_thread(run) as address, bound() as front:
        host, _, port = address.rpartition(":")

        def swallow_the_first_answer() -> None:
            times_told = 0
            while times_told < 2:
                client = front.accept()[0]
                with client, socket.create_connection((host, int(port))) as head:
                    request = _until(client, b"]}")
                    times_told += b"number 0" in request
                    head.sendall(request)
                    answer = _until(head, b"}")
                    if times_told != 1:
                        client.sendall(answer)

        proxy = threading.Thread(target=swallow_the_first_answer)
        proxy.start()
        with box(address_of(front), run) as outbox:
            outbox.put(note(0))
            proxy.join()
            assert outbox.flush(PATIENCE_S)
    assert texts(run) == expected(1)


def _until(sock: socket.socket, end: bytes) -> bytes:
    """One message of HTTP, whose body ends so."""
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(end):
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    return data


def test_an_ipv6_address_is_understood(run: RunDir) -> None:
    assert Outbox("[::1]:80", SECRET, "a00", run.spool("a00"))._heads[0]._server.host == "::1"


# --------------------------------------------------------------------------- the spool


def lines(*numbers: int) -> list[bytes]:
    return [json.dumps({"n": n}).encode() for n in numbers]


def test_a_spool_gives_back_in_order_and_cleans_up(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool_a.jsonl", "life")
    spool.append(lines(1, 2, 3))
    spool.append(lines(4))
    assert spool.peek(1000) == lines(1, 2, 3, 4)
    spool.drop(lines(1, 2))
    assert spool.peek(1000) == lines(3, 4)
    assert spool.peek(9) == lines(3)
    assert spool.peek(1) == lines(3)  # at least one, whatever its length
    spool.drop(lines(3, 4))
    assert spool.empty
    assert list(tmp_path.iterdir()) == []


def test_each_spool_file_begins_anew_under_its_own_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool_a.jsonl", "life")
    names = set()
    for n in range(3):
        spool.append(lines(n))
        names |= {p.name for p in tmp_path.iterdir()}
        spool.drop(lines(n))
    assert len(names) == 3


def test_a_failed_write_leaves_whole_lines_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool_a.jsonl", "life")
    spool.append(lines(1))
    real = Spool._write

    def half(self: Spool, data: bytes) -> None:
        size = self._size_bytes
        real(self, data[: len(data) // 2])
        self._size_bytes = size
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "_write", half)
        with pytest.raises(OSError, match="No space"):
            spool.append(lines(2, 3))
    spool.append(lines(4))
    assert spool.peek(1000) == lines(1, 4)
    spool.close()
    (path,) = tmp_path.iterdir()
    assert path.read_bytes().splitlines() == lines(1, 4)


def test_a_spool_being_drained_may_be_recovered_meanwhile(run: RunDir) -> None:
    def line(n: int) -> bytes:
        return json.dumps(events.to_dict(Record(note(n), 1.0, "a00/1", n + 1))).encode()

    told: list[Event] = [note(n) for n in range(10)]
    spool = Spool(run.spool("a00"), "1")
    spool.append([line(n) for n in range(10)])
    assert recover(run) == 10
    spool.append([line(10)])
    spool.drop([line(n) for n in range(5)])
    assert recover(run) == 1
    with Store.open(run.db, write=True) as store:
        assert store.append([Record(e, 1.0, "a00/1", n + 1) for n, e in enumerate(told)]) == []
    spool.close()
    assert texts(run) == expected(11)


# ------------------------------------------------------------------ one that stands aside


@pytest.mark.usefixtures("at_once")
def test_where_the_head_does_not_answer_events_go_to_the_one_that_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the first took last, which may be lost with its machine; and back again."""
    monkeypatch.setattr(outbox_room, "TURN_S", 0.0)
    home, aside = made(tmp_path / "home"), made(tmp_path / "aside")
    with bound() as one, bound() as other:
        ports = one.getsockname()[1], other.getsockname()[1]
    address, way = (f"127.0.0.1:{port}" for port in ports)
    with Outbox(address, SECRET, "a00", home.spool("a00"), aside=way) as outbox:
        with in_thread(home, port=ports[0]):
            outbox.put(note(0))
            assert outbox.flush(PATIENCE_S)
            assert outbox.address() == address
        with in_thread(aside, port=ports[1]):
            outbox.put(note(1))
            assert outbox.flush(PATIENCE_S)
            assert outbox.address() == way
        monkeypatch.setattr(outbox_room, "TURN_S", 1000.0)  # home at once
        wait_for(lambda: outbox.away_s > 0)
        with in_thread(home, port=ports[0]):
            outbox.put(note(2))
            assert outbox.flush(PATIENCE_S)
    assert texts(aside) == expected(2)
    assert texts(home) == ["number 0", "number 1", "number 2"]


def test_a_head_whose_disk_is_full_is_there(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody stands in for one that answers."""
    monkeypatch.setattr(outbox_room, "TURN_S", 0.0)

    def full(*_: object) -> int:
        raise DiskFull("no space", fix="make some")

    monkeypatch.setattr(Keeper, "take", full)
    with (
        in_thread(run) as address,
        Outbox(address, SECRET, "a00", run.spool("a00"), aside="127.0.0.1:1") as outbox,
    ):
        outbox.put(note(0))
        wait_for(lambda: outbox.away_s > 1)
        assert outbox.silent_s == 0
        assert outbox.address() == address
