"""The life of a head: in a thread for its decisions, as a process for its signals and its end."""

from __future__ import annotations

import errno
import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.head import serving
from tests.head.serving import in_process, in_thread, made, recorded

from evener import contract, errors, events
from evener.contract import HeadEnv
from evener.events import (
    AgentEnded,
    Alert,
    Event,
    RankTimed,
    Record,
    RunEnded,
    RunStarted,
    StepCommitted,
)
from evener.head import server
from evener.head.exhibit import Exhibit
from evener.head.keeper import Keeper
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.wire.outbox import BATCH_EVENTS, Outbox
from evener.wire.spool import Spool

STARTED = RunStarted("demo", "demo", "gpt", "text", 1, 1, 32, False, "local")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return made(tmp_path)


def tell(address: str, *told: Event, source: str = "a00/1") -> None:
    first = time.monotonic_ns()
    values = [events.to_dict(Record(e, time.time(), source, first + n)) for n, e in enumerate(told)]
    assert serving.post(address, {"events": values})[0] == 200


def await_end(address: str) -> None:
    """Until nobody answers any more; pytest's own limit is the timeout."""
    while True:
        try:
            serving.ask(address, "GET", "/v1/nothing", secret="")
        except OSError:
            return
        time.sleep(0.05)


def last_event(run: RunDir) -> Event:
    return recorded(run)[-1].event


# ------------------------------------------------------------------------- in a thread


def test_the_head_ends_with_the_last_agent(run: RunDir) -> None:
    with in_thread(run, agents=2) as address:
        tell(address, STARTED, AgentEnded("a00"), AgentEnded("a00"))
        tell(address, Alert("note", "one agent is left"))
        tell(address, RunEnded("finished", 9), AgentEnded("a01"))
        await_end(address)
    assert [type(r.event).__name__ for r in recorded(run)][-2:] == ["RunEnded", "AgentEnded"]


def test_agents_that_end_without_an_end_are_a_failure(run: RunDir) -> None:
    with in_thread(run) as address:
        tell(address, STARTED, AgentEnded("a00"))
        await_end(address)
    ended = last_event(run)
    assert isinstance(ended, RunEnded)
    assert ended.error is not None
    assert (ended.outcome, ended.error["code"]) == ("failed", "E604")


def test_silence_is_recorded_as_a_run_that_vanished(run: RunDir) -> None:
    with in_thread(run, silence_s=1.5) as address:
        tell(address, STARTED, StepCommitted(7, 0, 32, 0.5, 32.0, 32, 0.1, None, 0.5, 1))
        await_end(address)
    ended = last_event(run)
    assert isinstance(ended, RunEnded)
    assert ended.error is not None
    assert (ended.outcome, ended.step, ended.error["code"]) == ("failed", 7, "E604")


def test_an_end_that_was_told_is_not_told_again(run: RunDir) -> None:
    with in_thread(run, silence_s=1.5) as address:
        tell(address, STARTED, RunEnded("stopped", 3))
        await_end(address)
    assert last_event(run) == RunEnded("stopped", 3)


def test_the_end_of_an_earlier_life_does_not_count(run: RunDir) -> None:
    with Store.open(run.db, write=True) as store:
        past: list[Event] = [STARTED, RunEnded("stopped", 3), AgentEnded("a00"), STARTED]
        store.append(Record(e, 1.0, "past", n) for n, e in enumerate(past))
    with in_thread(run, silence_s=1.0) as address:
        assert serving.post(address, {"events": []})[0] == 200
        await_end(address)
    ended = last_event(run)
    assert isinstance(ended, RunEnded)
    assert ended.outcome == "failed"


def test_posts_without_events_keep_the_head(run: RunDir) -> None:
    with in_thread(run, silence_s=2.0) as address:
        for _ in range(25):
            assert serving.post(address, {"events": []})[0] == 200
            time.sleep(0.1)
    assert recorded(run) == []


def test_silence_while_the_head_itself_stood_still_does_not_count(run: RunDir) -> None:
    with Store.open(run.db, write=True) as store:
        keeper = Keeper(run, store)
        head = server.Head(keeper, Exhibit(run, keeper, store), HeadEnv("", "s"), silence_s=5.0)
        head._listen(3600.0)
        assert head._end() == ""
        for _ in range(100):
            head._listen(0.2)
        assert "5 s" in head._end()


def test_once_the_run_has_ended_a_lost_agent_is_not_waited_for_long(run: RunDir) -> None:
    with Store.open(run.db, write=True) as store:
        keeper = Keeper(run, store)
        env = HeadEnv("", "s", expected_agents=2)
        head = server.Head(keeper, Exhibit(run, keeper, store), env)
        keeper.take([Record(RunEnded("finished", 1), 1.0, "a00/1", 1)])
        head._listen(0.0)
        for _ in range(int((server.FAREWELL_S + 1) / 0.2)):
            head._listen(0.2)
        assert "has spoken" in head._end()


def test_a_failing_disk_at_the_end_is_logged_and_the_head_ends(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def torn(self: Store, *kinds: str) -> None:
        raise self._damaged("torn")

    monkeypatch.setattr(Store, "newest", torn)
    with in_thread(run) as address, caplog.at_level(logging.ERROR):
        tell(address, AgentEnded("a00"))
        await_end(address)
    assert "could not be recorded" in caplog.text


def test_a_full_disk_still_takes_how_the_run_ended(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though more than one batch waits before it, and the agent's own disk is as full."""
    append = Store.append

    def full(self: Store, records: list[Record]) -> list[tuple[int, Record]]:
        if len(list(run.logs.glob(".reserve"))) or len(records) > 2:
            raise errors.DiskFull("no space is left")
        return append(self, records)

    def spool_full(self: Spool, lines: list[bytes]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "append", full)
    monkeypatch.setattr(Spool, "append", spool_full)
    with in_thread(run) as address:
        with Outbox(address, serving.SECRET, "a00", run.spool("a00")) as outbox:
            for number in range(2 * BATCH_EVENTS):
                outbox.put(Alert("note", str(number)))
            outbox.put(RunEnded("failed", 7, "no space is left"))
            outbox.put(AgentEnded("a00"))
        await_end(address)
    assert [type(r.event) for r in recorded(run)] == [RunEnded, AgentEnded]


def test_the_ranks_metrics_are_there_at_the_end(run: RunDir) -> None:
    timed = RankTimed(1, 2, 2, 16, 200.0, 0.0, 0.1, 0.1, 0.0, 0.0, 0.2, 5)
    with in_thread(run) as address:
        tell(address, StepCommitted(2, 0, 32, 0.25, 32.0, 32, 0.1, None, 0.5, 1), timed)
    found = json.loads(run.rank_metrics(1).read_text())
    assert [(r["step"], r["loss"], r["share"]) for r in found] == [(2, 0.25, 16)]


# ------------------------------------------------------------------------- as a process


@pytest.mark.slow
def test_sigterm_ends_it_whole_and_says_nothing_about_the_run(run: RunDir) -> None:
    with in_process(run) as head:
        tell(head.address, STARTED, Alert("note", "x"))
        head.process.send_signal(signal.SIGINT)  # a Ctrl-C that is not meant for it
        tell(head.address, Alert("note", "y"))
        head.process.terminate()
        assert head.process.wait() == 0
    assert [type(r.event).__name__ for r in recorded(run)] == ["RunStarted", "Alert", "Alert"]
    assert [p.name for p in run.path.glob("run.db*")] == ["run.db"]
    log = run.head_log.read_text()
    assert "listening on" in log
    assert serving.SECRET not in log
    assert "Traceback" not in log


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, contract.AWAY_SIGNAL), reason="no SIGPWR on this system")
@pytest.mark.parametrize("ended", [False, True])
def test_when_its_machine_goes_it_hears_the_last_words_and_is_to_be_started_again(
    run: RunDir, ended: bool
) -> None:
    with in_process(run) as head:
        tell(head.address, STARTED)
        head.process.send_signal(signal.SIGPWR)
        time.sleep(0.3)
        tell(head.address, RunEnded("finished", 1) if ended else Alert("note", "the last word"))
        assert head.process.wait() == (0 if ended else contract.AWAY_STATUS)
    last = "RunEnded" if ended else "Alert"
    assert [type(r.event).__name__ for r in recorded(run)] == ["RunStarted", last]


@pytest.mark.slow
def test_it_ends_by_itself_with_its_agents(run: RunDir) -> None:
    with in_process(run, agents=1) as head:
        tell(head.address, STARTED, RunEnded("finished", 1), AgentEnded("a00"))
        assert head.process.wait() == 0


@pytest.mark.slow
def test_no_route_of_the_real_server_answers_a_stranger(run: RunDir) -> None:
    with in_process(run) as head:
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
            for path in ("/", "/v1/events", "/v1/state", "/nothing"):
                for secret in (None, "", "wrong"):
                    assert serving.ask(head.address, method, path, secret=secret)[0] == 401
        connection = http.client.HTTPConnection(head.address, timeout=20)
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        connection.request("GET", "/v1/state", headers=upgrade)
        assert connection.getresponse().status == 401
        connection.close()


@pytest.mark.slow
def test_it_imports_what_agents_had_to_put_aside(run: RunDir) -> None:
    record = Record(Alert("note", "from the spool"), 1.0, "a00/0", 1)
    spool = run.logs / "spool_a00.0-001.jsonl"
    spool.write_text(json.dumps(events.to_dict(record)) + "\n")
    with in_process(run):
        pass
    assert recorded(run) == [record]


@pytest.mark.slow
def test_a_damaged_record_ends_the_head_with_its_status(run: RunDir) -> None:
    run.db.write_bytes(b"no database at all, certainly not " * 50)
    env = HeadEnv(str(run.path), serving.SECRET)
    done = subprocess.run(
        [sys.executable, "-m", "evener.head"],
        env=dict(os.environ) | contract.to_environ(env),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 5
    assert "E407" in run.head_log.read_text()


def test_a_second_head_finds_the_port_taken(run: RunDir) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(errors.PortTaken, match="cannot listen there") as refused:
            server.listening_socket(HeadEnv(str(run.path), serving.SECRET, listen=place))
    assert refused.value.where == place


def test_the_head_starts_without_the_heavy_ones() -> None:
    code = (
        "import sys, evener.head.__main__;"
        "print(*{'torch', 'numpy', 'pydantic', 'typer', 'rich', 'httpx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == ""
    assert done.returncode == 0
