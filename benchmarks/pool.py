"""How soon a machine that joins a pool is listed, and trains; and two hundred that join at once.
How soon another one stands in for the first, when that has lost its power with a run's head.

Machines are processes of this one, each with a state of its own. The two hundred are simulated:
each asks to join, and then what there is to do, over a connection of its own, as a real one does.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import harness
from evener import contract
from evener.events import GenerationFormed, StepCommitted
from evener.pool import code
from evener.pool.client import Client
from evener.rundir.store import Store
from evener.versions import EVENER
from evener.wire.calls import Server
from harness import Case, MeasureError, Settings

LISTED_S, SHARE_S = 5.0, 10.0  # from the command on; from then on
CROWD, CROWD_S, CORES = 200, 10.0, 1.0
STANDIN_S, OTHERS = 10.0, 2
CALM_S = 5.0  # the record is copied every two seconds
PATIENCE_S = 120.0
PROCESS_S = 0.05
JOB = """
[model]
name = "mlp"
hidden = [64]
[data]
name = "synthetic_regression"
samples = 4096
features = 16
[train]
global_batch = 64
steps = 10000000
[local]
threads = 1
[balance]
park = false
[membership]
standby = false
"""


def measure(settings: Settings) -> Iterator[Case]:
    with pool_of() as machines:
        if settings.wants("listed") or settings.wants("first-share"):
            yield from _joins(machines, 2 if settings.quick else 6)
        if settings.wants("standin"):
            yield _stood_in(machines, 1 if settings.quick else 10)
        if settings.wants("crowd-s") or settings.wants("crowd-cores"):
            yield from _crowd(machines)


class Machines:
    """Machine 0 has the pool, made by `evener up UP`. `inside` comes before a machine's commands,
    where each is in a network of its own."""

    def __init__(
        self, folder: Path, inside: Sequence[Sequence[str]] = (), up: Sequence[str] = ()
    ) -> None:
        self.folder, self._inside = folder, inside
        up = up or (() if inside else ("--address", contract.LOOPBACK))
        told = self.evener(0, "up", *up, "--no-announce", "--uses", "1000")
        found = re.search(r"evener join (\S+)", told)
        if found is None:
            raise MeasureError(told)
        self.code = found[1]

    def evener(self, machine: int, *words: str) -> str:
        env = contract.inherited_environ() | {"PYTHONPATH": str(harness.ROOT / "src")}
        done = subprocess.run(
            [*self.on(machine), sys.executable, "-m", "evener", *words],
            cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise MeasureError(done.stdout + done.stderr)
        return done.stdout

    def power_off(self, machine: int) -> float:
        """All that was started from it, at once. Returns when."""
        own = f"XDG_STATE_HOME={self.folder / str(machine)}\0".encode()
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if own in environ.read_bytes():
                    os.kill(int(environ.parent.name), signal.SIGKILL)
        return time.time()

    def before(self, machine: int) -> Sequence[str]:
        return self._inside[machine] if self._inside else ()

    def on(self, machine: int) -> Sequence[str]:
        """Before a command that is to be of that machine: with its network, and its state."""
        own = self.folder / str(machine)
        kept = (f"XDG_STATE_HOME={own}", f"{contract.CACHE_VARIABLE}={own}/cache")
        return (*self.before(machine), "env", *kept)


@contextmanager
def pool_of(inside: Sequence[Sequence[str]] = (), up: Sequence[str] = ()) -> Iterator[Machines]:
    with tempfile.TemporaryDirectory() as folder:
        machines = Machines(Path(folder), inside, up)
        try:
            yield machines
        finally:
            machines.evener(0, "down", "--now")


def _joins(machines: Machines, times: int) -> Iterator[Case]:
    """One after the other, while a run goes on."""
    (machines.folder / "job.toml").write_text(JOB)
    machines.evener(0, "run", "job.toml", "--on", "pool", "--detach")
    record = machines.folder / contract.RUN_DIR_DEFAULT / "job" / contract.DB_NAME
    _await(record, 0)
    listed, shares = [], []
    for number in range(1, times + 1):
        began = time.monotonic()
        machines.evener(number, "join", machines.code)
        here = time.time()
        listed.append(time.monotonic() - began)
        shares.append(max(0.0, _await(record, number) - here))
        machines.evener(number, "leave")
    machines.evener(0, "stop", "--now")
    for name, values, target in (("listed", listed, LISTED_S), ("first-share", shares, SHARE_S)):
        found = harness.spread(values)
        yield Case(name, found.median, target, "s", sides={"s": found})


def _stood_in(machines: Machines, times: int) -> Case:
    """From the end of all that ran on the first machine to a step in the record on another."""
    (machines.folder / "job.toml").write_text(JOB)
    for number in range(1, OTHERS + 1):
        machines.evener(number, "join", machines.code)
    machines.evener(0, "run", "job.toml", "--on", "pool", "--detach", "--name", "lost")
    home = machines.folder / contract.RUN_DIR_DEFAULT / "lost" / contract.DB_NAME
    lasted: list[float] = []
    at = 0.0
    for _ in range(times):
        _until(partial(_all_train, home, at), "not all train")
        time.sleep(CALM_S)
        at = machines.power_off(0)
        _until(partial(_goes_on, machines, at), "nobody stands in")
        lasted.append(time.time() - at)
        machines.evener(0, "up")
    _until(partial(_all_train, home, at), "the head is not back")
    machines.evener(0, "stop")
    found = harness.spread(lasted)
    return Case("standin", found.median, STANDIN_S, "s", sides={"s": found})


def _goes_on(machines: Machines, at: float) -> bool:
    """Whether a copy of the record has a step that was made after that."""
    copies = machines.folder.glob(f"[1-9]*/**/standin/lost/{contract.DB_NAME}")
    return any(_newest_time(db) > at for db in copies)


def _all_train(record: Path, since: float) -> bool:
    """Whether all came together after that."""
    with Store.open(record, write=False) as store:
        found = store.newest(GenerationFormed.__name__)
    if found is None or not isinstance(found.event, GenerationFormed):
        return False
    return found.time > since and len(found.event.ranks) > OTHERS


def _newest_time(record: Path) -> float:
    """When the last step was made that is in it."""
    with Store.open(record, write=False) as store:
        found = store.newest(StepCommitted.__name__)
        return 0.0 if found is None else found.time


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise MeasureError(what)
        time.sleep(PROCESS_S)


def _await(record: Path, rank: int) -> float:
    """When the first generation with that rank formed."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if record.is_file():
            with Store.open(record, write=False) as store:
                for each in store.records():
                    if isinstance(each.event, GenerationFormed) and rank in each.event.ranks:
                        return each.time
        time.sleep(PROCESS_S)
    raise MeasureError(f"rank {rank} does not train")


def _crowd(machines: Machines) -> Iterator[Case]:
    """All at once; the server's own time is read from the kernel."""
    told = code.decode(machines.code)
    server = Server(told.addresses[0], told.port, pin=told.pin)
    pid = int(json.loads((machines.folder / "0/evener/pool/pool.json").read_text())["pid"])
    failed: list[str] = []
    leaving = threading.Event()
    crowd = [
        threading.Thread(target=_one, args=(server, told.secret, n, leaving, failed))
        for n in range(CROWD)
    ]
    began, used_s = time.monotonic(), _cpu_s(pid)
    for each in crowd:
        each.start()
    owner = json.loads(machines.evener(0, "nodes", "--json"))
    while len(_there(owner)) < CROWD and not failed and time.monotonic() - began < PATIENCE_S:
        owner = json.loads(machines.evener(0, "nodes", "--json"))
    taken_s = time.monotonic() - began
    cores = (_cpu_s(pid) - used_s) / taken_s
    leaving.set()
    for each in crowd:
        each.join()
    if failed:
        raise MeasureError(f"{len(failed)} did not get in: {failed[0]}")
    notes = {"machines": CROWD, "server cpu s": round(cores * taken_s, 2)}
    yield Case("crowd-s", taken_s, CROWD_S, "s", notes=notes)
    yield Case("crowd-cores", cores, CORES, "cores", notes=notes)


def _there(members: list[dict[str, Any]]) -> list[str]:
    return [m["name"] for m in members if not m["own"] and m["state"] == "waiting"]


def _one(
    server: Server, secret: str, number: int, leaving: threading.Event, failed: list[str]
) -> None:
    machine = {"name": f"m{number}", "system": "simulated", "cpus": 1.0, "memory_bytes": 1}
    try:
        known = Client(server, secret).call(
            "POST", "join", {"machine": machine, "evener": EVENER}, timeout_s=PATIENCE_S
        )
        mine = Client(server, str(known["secret"]))
        idle: dict[str, Any] = {"door": "127.0.0.1:9", "running": [], "ended": {}, "seen": ""}
        with mine.connected(PATIENCE_S) as connection:
            while not leaving.is_set():
                idle["seen"] = mine.call("POST", "wait", idle, over=connection)["stamp"]
        mine.call("POST", "leave", timeout_s=PATIENCE_S)
    except Exception as error:  # noqa: BLE001  (a thread's failure is told by the main one)
        failed.append(repr(error))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(harness.main("pool", measure, __doc__, busy=harness.busy_share))
