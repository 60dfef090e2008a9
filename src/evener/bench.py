"""A bench: a run whose ranks measure in place of training, and the profiles that it leaves.

It is planned, started, followed and stopped as any run is, so it works wherever runs do. Its folder
is removed when it has told what it found; where it failed the folder stays, for its logs.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from evener import api, cluster, contract, errors, placement, profiles, versions
from evener.api import Ready, RunRequest
from evener.cluster import Machine
from evener.events import MachineProfiled
from evener.launch.base import Launcher
from evener.probe import probe
from evener.profiles import Expected, Occasion, Profiles
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.state import RunState
from evener.versions import Versions

HARDWARE_S = 120.0  # for a few seconds of measuring, and torch from a cold disk
_MODULE = "evener.rank.hardware"


def prepare(request: RunRequest) -> Ready:
    """The run that would train, with ranks that measure; write nothing."""
    ready = api.prepare(replace(request, name=None, resume=False, profiles=None))
    if ready.job.script.path:
        raise errors.BadCombination(
            "a bench repeats parts of a step, and a script's loop is run as it is",
            where=ready.job.script.path,
            fix="evener run it: how fast its ranks are shows while it trains",
        )
    plan = replace(ready.plan, purpose=placement.BENCH)
    name = api.free_name(ready.root, f"bench-{ready.job.name or ready.name}"[:60])
    return replace(ready, name=name, plan=plan, notes=plan.notes)


def finish(run: RunDir, ready: Ready, launcher: Launcher, state: RunState) -> Profiles:
    """What an ended bench has found. Nothing of it stays, unless it failed: then its error is
    raised. One that was stopped has found nothing, and raises KeyboardInterrupt."""
    if not launcher.alive(run):  # who only lost sight of a run must not remove it
        launcher.clean(run)
    if state.phase == "failed":
        raise errors.from_dict(state.error or {})
    found = _gathered(run, ready) if state.phase == "finished" else None
    remove(run)
    if found is None:
        raise KeyboardInterrupt
    return found


def remove(run: RunDir) -> None:
    """Its folder, and the folder of all runs if there is no other."""
    shutil.rmtree(run.path, ignore_errors=True)
    with contextlib.suppress(OSError):  # another run's is in it
        run.path.parent.rmdir()


def _gathered(run: RunDir, ready: Ready) -> Profiles:
    with Store.open(run.db, write=False) as store:
        told = [record.event for record in store.records()]
    expected = placement.expected(ready.plan, ready.machine)
    job = ready.name.removeprefix("bench-") if ready.job.name is None else ready.job.name
    about = _occasion(versions.installed())
    about = replace(about, job=job, depends_on=profiles.depends_on(ready.job))
    return profiles.gather(told, expected, about)


def _occasion(found: Versions) -> Occasion:
    return Occasion(datetime.now(UTC).isoformat(timespec="seconds"), found)


# --------------------------------------------------------------------- without any job


def hardware() -> Profiles:
    """What this machine can do, measured by a process that has torch."""
    api.need_torch()
    machine = probe()
    device = _device(machine)
    answer = _ask(device, max(1, int(machine.cpus)))
    torch = str(answer.pop("torch"))
    event = MachineProfiled(agent="a00", **answer)
    here = Expected(0, "a00", machine.name, machine.cpus, device, "", event.threads)
    found = profiles.of_machine(here, event, cluster.to_dict(machine))
    empty = profiles.gather((), (), _occasion(Versions(versions.EVENER, torch)))
    return replace(empty, machines=(found,))


def _device(machine: Machine) -> str:
    """The first accelerator that torch here can use, else the processor."""
    kinds = [d.kind for d in machine.devices]
    if "cuda" in kinds and not versions.is_for_processors(machine.torch):
        return "cuda:0"
    return "mps" if "mps" in kinds else "cpu"


def _ask(device: str, threads: int) -> dict[str, Any]:
    folder = contract.cache_folder() / "bench"
    argv = [sys.executable, "-P", "-m", _MODULE, device, str(threads), str(folder)]
    done = subprocess.run(
        argv,
        env=contract.inherited_environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=HARDWARE_S,
    )
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise errors.StartFailed(
            f"the process that measures ended with status {done.returncode}: {last}",
            where=_MODULE,
            fix="status -9 is a machine short of memory; else report it",
        ) from None
    if "error" in answer:
        raise errors.from_dict(answer["error"])
    return dict(answer["result"])
