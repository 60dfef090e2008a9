"""What the mesh of a pool costs: by UDP, by TCP where UDP is kept out, and beside no mesh at all.

Machines are network namespaces at one switch, two of them behind routers with NAT, of which one
lets no UDP through. What is measured is one TCP connection, as Gloo makes them: its rate one way,
and the time of a byte there and back; by cables as fast as they are, then by some of 100 Mbit/s.

At last: what would be won if two machines of one LAN spoke past the mesh, while a third is reached
by the mesh alone? A route of the kernel makes them do so, and three ranks of Gloo sum 10 MB.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import harness
import jobs
import lab
import pool
from evener import contract
from evener.events import GenerationFormed, StepCommitted
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from harness import Case, MeasureError, Settings, Spread
from pool import Machines

PORT, REDUCE_PORT, PATIENCE_S = 45555, 45556, 60.0  # where the mesh lets a pool through
LINK_MBIT, SUM_MB = 100, 10
SUMS_MB, SUM_COST = (3, SUM_MB, 45), 1.2  # of the time without; it goes both ways at once
LOST, BY_TCP = 0.9, 0.75  # of the rate without, and of that by UDP, at the least
BY_PAIR = 1.25  # of the time of a sum, at the most: a network for each pair would win less
SLOWER_MS = 5.0
AT_LINK, PAIRS = (f"lan-rate-{LINK_MBIT}", f"tcp-rate-{LINK_MBIT}"), f"by-pair-{LINK_MBIT}"
SUMS = f"sum-{SUM_MB}-mb-{LINK_MBIT}"
STEP, STEP_TURNS, WARM_STEPS, STEPS = f"step-{LINK_MBIT}", 2, 10, 40
HEAD, BESIDE, BEHIND, WITHOUT_UDP = range(4)
THREE = (HEAD, BESIDE, BEHIND)
DIRECT, LAN_DEVICE = ("10.79.0.1", "10.79.0.9"), "eth0"  # of the first two, on their LAN
SUM_TURNS = 3
# Echoes what comes after a "p", and counts what comes after an "s".
SERVE = """
import socket, sys, threading
def answer(sock):
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sock.recv(1) == b"p":
            while data := sock.recv(1):
                sock.sendall(data)
        else:
            seen = 0
            while data := sock.recv(1 << 20):
                seen += len(data)
            sock.sendall(b"%d" % seen)
listening = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print(flush=True)
while True:
    threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()
"""
ASK = """
import json, socket, statistics, sys, time
host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
times = []
with socket.create_connection((host, port), 20) as sock:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"p")
    for _ in range(100):
        began = time.perf_counter()
        sock.sendall(b"x")
        sock.recv(1)
        times.append(time.perf_counter() - began)
with socket.create_connection((host, port), 20) as sock:
    sock.settimeout(60)
    sock.sendall(b"s")
    piece, began = bytes(1 << 18), time.perf_counter()
    while time.perf_counter() - began < seconds:
        sock.sendall(piece)
    sock.shutdown(socket.SHUT_WR)
    seen = int(sock.recv(99))
    print(json.dumps({"mb_s": seen / 1e6 / (time.perf_counter() - began),
                      "ms": statistics.median(times) * 1e3}))
"""
REDUCE = """
import statistics, sys, time, torch, torch.distributed as dist
rank, host, port, mb, size = int(sys.argv[1]), sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])
dist.init_process_group("gloo", init_method=f"tcp://{host}:{port}", rank=rank, world_size=size)
numbers, times = torch.zeros(mb * 250_000), []
for _ in range(6 if mb <= 10 else 3):
    dist.barrier()
    began = time.perf_counter()
    dist.all_reduce(numbers)
    times.append(time.perf_counter() - began)
print(statistics.median(times[1:]) if rank == 0 else "")
dist.barrier()
dist.destroy_process_group()
"""


@dataclass(frozen=True, slots=True)
class Link:
    mb_s: float
    ms: float


def measure(settings: Settings) -> Iterator[Case]:
    repetitions, seconds = (2, 1.5) if settings.quick else (7, 4.0)
    if settings.wants(STEP) and not settings.quick:
        with lab.networks() as (inside, tell):
            tell(f"rate {LINK_MBIT}")
            yield _step(inside)
    if not any(map(settings.wants, ("tcp-rate", "tcp-ms", *AT_LINK, SUMS, PAIRS))):
        return
    with lab.networks() as (inside, tell), pool.pool_of(inside) as machines:
        tell("udp 1 stops")
        for number in (BESIDE, BEHIND, WITHOUT_UDP):
            machines.evener(number, "join", machines.code)
        by = _addresses(machines)
        with _serving(machines, HEAD), _serving(machines, WITHOUT_UDP):
            host, beside = DIRECT
            ways: dict[str, Callable[[], Link]] = {
                "direct": _way(machines, BESIDE, host, seconds),
                "mesh": _way(machines, BESIDE, by[HEAD], seconds),
                "nat": _way(machines, WITHOUT_UDP, host, seconds),
                "udp": _way(machines, BEHIND, by[HEAD], seconds),
                "tcp": _way(machines, WITHOUT_UDP, by[HEAD], seconds),
                "passed on": _way(machines, BEHIND, by[WITHOUT_UDP], seconds),
            }
            if settings.wants("tcp-rate") or settings.wants("tcp-ms"):
                yield from _unlimited(harness.interleave(ways, repetitions))
            tell(f"rate {LINK_MBIT}")
            if any(map(settings.wants, AT_LINK)):
                yield from _limited(harness.interleave(ways, repetitions))
        if settings.wants(SUMS):
            yield _sums(machines, by, (SUM_MB,) if settings.quick else SUMS_MB)
        if not settings.wants(PAIRS):
            return
        there, back = (HEAD, by[BESIDE], beside), (BESIDE, by[HEAD], host)
        sums = {
            "mesh": lambda: _sum(machines, by, THREE),
            "by pair": lambda: _past_the_mesh(machines, by, (there, back)),
        }
        yield _by_pair(harness.interleave(sums, repetitions))


def _unlimited(found: dict[str, list[Link]]) -> Iterator[Case]:
    """By TCP it is the processors that limit: they must keep up with the slower cables."""
    rate = harness.spread([link.mb_s for link in found["tcp"]]).median
    sides = _rates(found)
    yield Case("tcp-rate", rate, LINK_MBIT / 8, "MB/s", at_most=False, sides=sides)
    time_ms = harness.spread([link.ms for link in found["tcp"]]).median
    yield Case("tcp-ms", time_ms, SLOWER_MS, "ms", sides=_times(found))


def _limited(found: dict[str, list[Link]]) -> Iterator[Case]:
    rates = {way: [link.mb_s for link in links] for way, links in found.items()}
    sides = {**_rates(found), **_times(found)}
    for name, way, without, least in (
        (AT_LINK[0], "mesh", "direct", LOST), (AT_LINK[1], "tcp", "udp", BY_TCP)
    ):  # fmt: skip
        kept = harness.ratios(rates, way, without).median
        yield Case(name, kept, least, "x", at_most=False, sides=sides)


def _rates(found: dict[str, list[Link]]) -> dict[str, Spread]:
    return {f"{way} MB/s": harness.spread([k.mb_s for k in links]) for way, links in found.items()}


def _times(found: dict[str, list[Link]]) -> dict[str, Spread]:
    return {f"{way} ms": harness.spread([k.ms for k in links]) for way, links in found.items()}


def _by_pair(found: dict[str, list[float]]) -> Case:
    won = harness.ratios(found, "mesh", "by pair")
    sides = {f"{way} s": harness.spread(values) for way, values in found.items()}
    return Case(PAIRS, won.median, BY_PAIR, "x", sides=sides)


def _past_the_mesh(
    machines: Machines, by: Sequence[str], routes: Sequence[tuple[int, str, str]]
) -> float:
    """Each route is of a machine, to an address in the mesh, by the other's own."""
    for number, to, via in routes:
        _ip(machines, number, "route", "add", f"{to}/32", "via", via, "src", by[number])
    try:
        return _sum(machines, by, THREE)
    finally:
        for number, to, _ in routes:
            _ip(machines, number, "route", "del", f"{to}/32")


def _ip(machines: Machines, number: int, *words: str) -> None:
    harness.run([*machines.before(number), "ip", *words], cwd=machines.folder)


def _sums(machines: Machines, by: Sequence[str], sizes_mb: Sequence[int]) -> Case:
    """Of two on one LAN, with and without the mesh, and of all four by it."""
    pair, four = (HEAD, BESIDE), (HEAD, BESIDE, BEHIND, WITHOUT_UDP)
    used_s, moved_mb = _nebula_s(), 0.0
    ways: dict[str, Callable[[], float]] = {}
    for mb in sizes_mb:
        ways[f"direct {mb} MB"] = partial(_sum, machines, DIRECT, pair, mb)
        ways[f"mesh {mb} MB"] = partial(_sum, machines, by, pair, mb)
        ways[f"four {mb} MB"] = partial(_sum, machines, by, four, mb)
    found = harness.interleave(ways, SUM_TURNS)
    cost = harness.ratios(found, f"mesh {SUM_MB} MB", f"direct {SUM_MB} MB")
    for mb in sizes_mb:  # in each of its sums a ring of n sends 2 (n - 1) times all of it
        times = SUM_TURNS * (6 if mb <= SUM_MB else 3)
        moved_mb += times * mb * (2 * (2 - 1) + 2 * (4 - 1))
    cpu_ms = (_nebula_s() - used_s) / moved_mb * 1e3
    sides = {f"{way} s": harness.spread(values) for way, values in found.items()}
    notes = {"nebula's cpu ms for each MB, both ends": round(cpu_ms, 1)}
    return Case(SUMS, cost.median, SUM_COST, "x", sides=sides, notes=notes)


def _step(inside: Sequence[Sequence[str]]) -> Case:
    """Of a training by two machines on one LAN, in pools one after the other."""
    ways = {"direct": partial(_trained, inside, "host"), "mesh": partial(_trained, inside, "mesh")}
    found = harness.interleave(ways, STEP_TURNS)
    cost = harness.ratios(found, "mesh", "direct")
    sides = {f"{way} s": harness.spread(values) for way, values in found.items()}
    return Case(STEP, cost.median, SUM_COST, "x", sides=sides, notes={"steps of each": STEPS})


def _trained(inside: Sequence[Sequence[str]], network: str) -> float:
    """The median seconds of a step."""
    with pool.pool_of(inside, ("--network", network)) as machines:
        machines.evener(BESIDE, "join", machines.code)
        text = machines.folder / "text.txt"
        text.write_text(jobs.text_of_65_letters())
        (machines.folder / "gpt.toml").write_text(jobs.GPT.replace("text.txt", str(text)))
        set_so = ("local.device=cpu", "balance.policy=equal", "balance.park=false",
                  "membership.standby=false", "train.steps=100000")  # fmt: skip
        told = [word for each in set_so for word in ("-o", each)]
        machines.evener(HEAD, "run", "gpt.toml", "--on", "pool", "--detach", *told)
        run = RunDir(machines.folder / contract.RUN_DIR_DEFAULT / "gpt")
        deadline = time.monotonic() + 2 * PATIENCE_S
        steps: list[float] = []
        while len(steps) < WARM_STEPS + STEPS:
            if time.monotonic() > deadline:
                raise MeasureError(f"only {len(steps)} steps by the {network} network")
            time.sleep(1.0)
            steps = _of_both(run)
        machines.evener(HEAD, "stop", "--now")
        return statistics.median(steps[WARM_STEPS:])


def _of_both(run: RunDir) -> list[float]:
    with Store.open(run.db, write=False) as store:
        told = [record.event for record in store.records()]
    newest = max((e for e in told if isinstance(e, GenerationFormed)),
                 key=lambda e: e.generation, default=None)  # fmt: skip
    if newest is None or len(newest.ranks) < 2:
        return []
    made = (e for e in told if isinstance(e, StepCommitted))
    return [e.seconds for e in made if e.generation == newest.generation]


def _nebula_s() -> float:
    """Of processor time, of all that run."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().rpartition(")")
            if name.endswith("(nebula"):
                total += sum(map(int, rest.split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def _device(address: str) -> str:
    """The mesh's is called by its address; the LAN's is the only one there is besides."""
    if address in DIRECT:
        return LAN_DEVICE
    return f"ev{int(ipaddress.ip_address(address)) & 0xFFFFFF:06x}"


def _sum(machines: Machines, by: Sequence[str], members: Sequence[int], mb: int = SUM_MB) -> float:
    """The seconds of one, by the slowest."""
    ranks = []
    for rank, number in enumerate(members):
        device = f"GLOO_SOCKET_IFNAME={_device(by[number])}"
        told = (rank, by[HEAD], REDUCE_PORT, mb, len(members))
        words = [sys.executable, "-c", REDUCE, *map(str, told)]
        ranks.append(
            subprocess.Popen(
                [*machines.before(number), "env", device, *words], env=harness.environment(),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    said = [rank.communicate(timeout=2 * PATIENCE_S) for rank in ranks]
    for process, (_, last) in zip(ranks, said, strict=True):
        if process.returncode:
            raise MeasureError(f"a rank failed: {last.strip()[-500:]}")
    return float(said[0][0])


def _addresses(machines: Machines) -> list[str]:
    """In the mesh, by number; and a machine that has no way of that kind is said."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        told = json.loads(machines.evener(0, "nodes", "--json"))
        if [member["mesh_by"] for member in told] == ["udp", "udp", "udp", "tcp"]:
            return [str(member["mesh"]).rpartition(":")[0] for member in told]
        time.sleep(1.0)
    raise MeasureError(f"the mesh is not as it should be: {told}")


@contextlib.contextmanager
def _serving(machines: Machines, number: int) -> Iterator[None]:
    command = [*machines.before(number), sys.executable, "-c", SERVE, str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()


def _way(machines: Machines, number: int, host: str, seconds: float) -> Callable[[], Link]:
    before: Sequence[str] = machines.before(number)
    command = [*before, sys.executable, "-c", ASK, host, str(PORT), str(seconds)]

    def once() -> Link:
        return Link(**json.loads(harness.run(command, cwd=machines.folder, limit_s=PATIENCE_S)))

    return once


if __name__ == "__main__":
    sys.exit(harness.main("mesh", measure, __doc__, busy=harness.busy_share))
