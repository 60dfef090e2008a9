"""What being seen costs: of the head under a thousand ranks, of a step, of opening a long record.

A head of its own process takes what 125 agents of eight ranks each report every second, while a
page follows it and a browser opens it. A run that is reported and followed takes turns with one
that says next to nothing. And a record of ten million points is opened as its page opens it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import harness
import jobs
import turns
from evener import contract, events
from evener.contract import LOOPBACK, HeadEnv
from evener.events import MachineSeen, RankBuilt, RankStarted, RankTimed, Record, StepCommitted
from evener.launch.places import head_of
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from harness import Case, MeasureError, Settings
from trial import Trials

AGENTS, RANKS_EACH = 125, 8
SECRET = "of the benchmark"
OF_CROWD = ("cores", "memory", "lost", "intake-p99", "update", "first-paint")
SPAN_S, QUICK_SPAN_S = 60.0, 15.0
WARM_S = 3.0
CORE, MEMORY_MB, INTAKE_S, PAINT_S, UPDATE_S = 1.0, 300.0, 0.05, 1.0, 0.1
TURNS, QUICK_TURNS, TURN_S = 60, 8, 3.0
COST, OPEN_S = 1.01, 2.0
STEPS, QUICK_STEPS = 1_250_000, 25_000  # of eight numbers each: ten million points
SILENT = ("log.every_s=86400", "log.every_steps=1000000")
SNAPSHOT_S = 20.0
Headers = dict[str, str]


def measure(settings: Settings) -> Iterator[Case]:
    if any(map(settings.wants, OF_CROWD)):
        yield from _crowded(QUICK_SPAN_S if settings.quick else SPAN_S)
    if settings.wants("cost"):
        yield _cost(QUICK_TURNS if settings.quick else TURNS)
    if settings.wants("open"):
        yield _opening(QUICK_STEPS if settings.quick else STEPS)


def _crowded(span_s: float) -> Iterator[Case]:
    with crowd(span_s) as seen:
        notes = {"agents": AGENTS, "ranks": AGENTS * RANKS_EACH, "posts": len(seen.intakes_s)}
        yield Case("cores", seen.cores, CORE, "cores", notes=notes)
        yield Case("memory", seen.memory_mb, MEMORY_MB, "MB")
        yield Case("lost", seen.lost, 0, "events", notes={"told": seen.told})
        sides = {"s": harness.spread(seen.intakes_s)}
        yield Case("intake-p99", percentile(seen.intakes_s, 99), INTAKE_S, "s", sides=sides)
        sides = {"s": harness.spread(seen.updates_s)}
        yield Case("update", percentile(seen.updates_s, 50), UPDATE_S, "s", sides=sides)
        if seen.paints_s:
            sides = {"s": harness.spread(seen.paints_s)}
            yield Case("first-paint", sides["s"].median, PAINT_S, "s", sides=sides)


# ----------------------------------------------------------------------- a thousand ranks


@dataclass
class Seen:
    """What was measured of a head."""

    cores: float = 0.0
    memory_mb: float = 0.0
    told: int = 0
    lost: int = 0
    intakes_s: list[float] = field(default_factory=list)
    updates_s: list[float] = field(default_factory=list)
    paints_s: list[float] = field(default_factory=list)


@contextlib.contextmanager
def crowd(span_s: float) -> Iterator[Seen]:
    """A head, and a thousand ranks that report to it for so long."""
    seen = Seen()
    with TemporaryDirectory(prefix="evener-bench-") as folder, head(Path(folder)) as (pid, address):
        told = asyncio.run(_report(address, span_s, seen, pid))
        with Store.open(Path(folder) / "crowd" / contract.DB_NAME, write=False) as store:
            seen.told, seen.lost = told, told - store.last_seq
    yield seen


@contextlib.contextmanager
def head(folder: Path) -> Iterator[tuple[int, str]]:
    run = RunDir(folder / "crowd")
    run.create()
    with socket.create_server((LOOPBACK, 0)) as listening:
        env = HeadEnv(str(run.path), SECRET, listening.fileno(), expected_agents=AGENTS)
        address = f"{LOOPBACK}:{listening.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "evener.head"],
            env=contract.inherited_environ() | contract.to_environ(env),
            pass_fds=[listening.fileno()],
        )
    try:
        yield process.pid, address
    finally:
        process.kill()
        process.wait()


@dataclass
class Going:
    """What all agents share while they report."""

    over: bool = False
    intakes_s: list[float] = field(default_factory=list)
    marks: dict[int, float] = field(default_factory=dict)  # when a step had been taken in


async def _report(address: str, span_s: float, seen: Seen, pid: int) -> int:
    """All agents together, each a second apart from its last post. Returns the events told.

    A browser draws on this machine's own processors: it comes when the rest has been measured,
    while the agents go on.
    """
    told = await _begin(address)
    going = Going()
    page = threading.Thread(target=_read, args=(address, going.marks, seen.updates_s), daemon=True)
    page.start()
    agents = [asyncio.create_task(_agent(address, number, going)) for number in range(AGENTS)]
    await asyncio.sleep(WARM_S)
    going.intakes_s.clear()
    seen.updates_s.clear()
    before, began = _cpu_s(pid), time.monotonic()
    while time.monotonic() < began + span_s:
        await asyncio.sleep(0.5)
        seen.memory_mb = max(seen.memory_mb, _memory_mb(pid))
    seen.cores = (_cpu_s(pid) - before) / (time.monotonic() - began)
    seen.intakes_s += going.intakes_s
    await asyncio.to_thread(_paint, address, seen.paints_s)
    going.over = True
    return told + sum(await asyncio.gather(*agents))


async def _begin(address: str) -> int:
    """Everybody is there."""
    told = [events.RunStarted("crowd", "crowd", "gpt", "text", AGENTS * RANKS_EACH, AGENTS, 8000,
                              False, "local")]  # fmt: skip
    records: list[events.Event] = [*told]
    for number in range(AGENTS):
        name = f"a{number:03d}"
        facts = {"name": name, "cpus": 8.0, "memory_bytes": 16 * 10**9, "devices": []}
        records.append(MachineSeen(name, facts))
        for rank in _ranks(number):
            records += [RankStarted(name, rank, 0, rank), RankBuilt(rank, "cpu", 1, 10**6)]
    records.append(events.GenerationFormed(1, tuple(range(AGENTS * RANKS_EACH)), 0, 0, 10**6, 100))
    reader, writer = await asyncio.open_connection(*address.split(":"))
    for part in _parts(records):
        await _post(reader, writer, _body("begin", part))
    writer.close()
    return len(records)


def _parts(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    yield from (records[i : i + 500] for i in range(0, len(records), 500))


def _ranks(agent: int) -> range:
    return range(agent * RANKS_EACH, (agent + 1) * RANKS_EACH)


async def _agent(address: str, number: int, going: Going) -> int:
    """One post a second; the first agent's has a step in it too."""
    await asyncio.sleep(number / AGENTS)
    reader, writer = await asyncio.open_connection(*address.split(":"))
    told = step = 0
    try:
        while not going.over:
            due = time.monotonic() + 1.0
            step += 1
            records: list[events.Event] = [_timed(rank, step) for rank in _ranks(number)]
            if number == 0:
                records.append(_committed(step))
            body = _body(f"a{number:03d}", records, step)
            began = time.monotonic()
            await _post(reader, writer, body)
            going.intakes_s.append(time.monotonic() - began)
            if number == 0:
                going.marks[step] = time.monotonic()
            told += len(records)
            await asyncio.sleep(max(due - time.monotonic(), 0.0))
    finally:
        writer.close()
    return told


def _timed(rank: int, step: int) -> RankTimed:
    return RankTimed(rank, step, 1, 8, 100.0 + rank, 0.001, 0.3, 0.5, 0.1, 0.05, 1.0, 10**9)


def _committed(step: int) -> StepCommitted:
    return StepCommitted(step, 0, 8000 * step, 4.0, 8000.0, 8000, 1e-3, 1.0, 1.0, 1)


_numbers = itertools.count(1)


def _body(source: str, told: Sequence[events.Event], seconds: int = 0) -> bytes:
    records = [Record(event, time.time(), source, next(_numbers)) for event in told]
    return json.dumps({"events": [events.to_dict(r) for r in records]}).encode()


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(
        b"POST /v1/events HTTP/1.1\r\nHost: head\r\n"
        b"Authorization: Bearer " + SECRET.encode() + b"\r\nContent-Type: application/json\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )
    head_of_answer = await reader.readuntil(b"\r\n\r\n")
    if not head_of_answer.startswith(b"HTTP/1.1 200"):
        raise MeasureError(f"the head answers {head_of_answer[:80]!r}")
    length = int(head_of_answer.lower().partition(b"content-length:")[2].split()[0])
    await reader.readexactly(length)


def _read(address: str, marks: dict[int, float], updates_s: list[float]) -> None:
    """A page that follows the run: how long after its intake is a step told?"""
    connection = http.client.HTTPConnection(address, timeout=30)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/api/runs/crowd/stream", headers=_key())
        answer = connection.getresponse()
        while line := answer.readline():
            if line.startswith(b"data: ") and b'"points":{"' in line[:200]:
                heard = time.monotonic()
                points = json.loads(line[6:])["points"].get("loss", [])
                updates_s += [heard - marks[step] for step, _, _ in points if step in marks]


def _key() -> Headers:
    return {"Authorization": f"Bearer {contract.page_key(SECRET)}"}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def percentile(values: Sequence[float], part: int) -> float:
    if not values:
        raise MeasureError("nothing was measured")
    return sorted(values)[min(len(values) * part // 100, len(values) - 1)]


# ------------------------------------------------------------------------------- a browser


def _paint(address: str, paints_s: list[float], times: int = 3) -> None:
    """How soon a page with all of it shows anything, where there is a browser to ask."""
    program = shutil.which("chromium")
    if program is None:
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"] if os.name == "posix" else []
        with playwright.chromium.launch(executable_path=program, args=options) as browser:
            for _ in range(times):
                page = browser.new_page()
                page.goto(contract.page_address(address, SECRET), wait_until="domcontentloaded")
                page.wait_for_function("performance.getEntriesByType('paint').length > 0")
                entries = page.evaluate(
                    "performance.getEntriesByType('paint').map(e => [e.name, e.startTime])"
                )
                paints_s.append(dict(entries)["first-contentful-paint"] / 1000)
                page.close()


# --------------------------------------------------------------------------- cost of a step


def _cost(rounds: int) -> Case:
    """Reported twice a second and followed by a page, against a run that tells nothing of it."""
    with Trials() as trials:
        trials.write("text.txt", jobs.text_of_65_letters())
        trials.write("gpt.toml", jobs.GPT)
        # A run that tells nothing of its steps would have no standby: neither has one.
        wanted = ["local.workers=2", "balance.policy=equal", "train.steps=1000000",
                  "membership.standby=false"]  # fmt: skip
        with contextlib.ExitStack() as pages:

            def seen() -> RunDir:
                run = trials.start("gpt.toml", wanted)
                pages.enter_context(_followed(run))
                return run

            silent = functools.partial(trials.start, "gpt.toml", [*wanted, *SILENT])
            starts: dict[str, Callable[[], RunDir]] = {"seen": seen, "silent": silent}
            pattern = turns.Pattern(rounds, TURN_S, warm_s=12.0, warm_steps=40)
            taken = turns.step_s(trials, starts, pattern)
    ratio = harness.ratios(taken, "seen", "silent")
    sides = {"ratio": ratio, **{f"{k} s": harness.spread(v) for k, v in taken.items()}}
    return Case("cost", ratio.median, COST, "x", sides=sides, notes={"turn_s": TURN_S})


@contextlib.contextmanager
def _followed(run: RunDir) -> Iterator[None]:
    """A page that somebody has open."""
    place = head_of(run)
    if place is None:
        raise MeasureError(f"the head of {run.name} does not answer")
    connection = http.client.HTTPConnection(place.address)
    key = contract.page_key(place.secret)
    connection.request(
        "GET", f"/api/runs/{run.name}/stream", headers={"Authorization": f"Bearer {key}"}
    )
    answer = connection.getresponse()

    def read() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
            while answer.readline():
                pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
        reader.join(5)
        connection.close()


# --------------------------------------------------------------------------- a long record


def _opening(steps: int) -> Case:
    """All that a page asks for before it is whole, of a server that has not seen the run yet."""
    with TemporaryDirectory(prefix="evener-bench-") as folder:
        points = _write(Path(folder), steps)
        took = [_open_s(Path(folder)) for _ in range(3)]
    spread = harness.spread(took)
    return Case("open", spread.median, OPEN_S, "s", sides={"s": spread}, notes={"points": points})


def _write(folder: Path, steps: int) -> int:
    run = RunDir(folder / "long")
    run.create()
    run.job_file.write_text("{}")
    with Store.open(run.db, write=True) as store:
        for first in range(0, steps, 5000):
            store.append(_long(range(first + 1, min(first + 5000, steps) + 1)))
        store.settle()  # as a head does while the run goes on
        (points,) = store.select("SELECT count(*) FROM metrics")[0]
    return int(points)


def _long(steps: Sequence[int]) -> Iterator[Record]:
    metrics = {"accuracy": 0.5, "top5": 0.9, "perplexity": 7.0}
    for step in steps:
        event = StepCommitted(
            step, 0, 96 * step, 4.0 / (1 + step % 97), 96.0, 96, 1e-3, 1.0, 0.1, 1, metrics
        )
        yield Record(event, 1e9 + step / 10, "lead", step)
        if step % 20 == 0:
            timed = _timed(step // 20 % 4, step)
            yield Record(timed, 1e9 + step / 10, f"rank {timed.rank}", step)


def _open_s(folder: Path) -> float:
    command = [sys.executable, "-m", "evener", "dashboard", "--no-open", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            address, _, key = server.stdout.readline().decode().strip().partition("/?key=")
            began = time.monotonic()
            connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=120)
            for path in ("state", "series?name=loss&name=validation.loss", "timings", "timeline",
                         "job", "logs"):  # fmt: skip
                connection.request(
                    "GET", f"/api/runs/long/{path}", headers={"Authorization": f"Bearer {key}"}
                )
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != http.client.OK:
                    raise MeasureError(f"{path}: {answer.status} {body[:200]!r}")
            return time.monotonic() - began
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(harness.main("head", measure, __doc__, busy=harness.busy_share))
