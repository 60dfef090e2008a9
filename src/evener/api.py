"""Starting, stopping and following runs from Python or from the command line. Wires the rooms
that decide (config, placement) to those that act (rundir, launch), and does neither itself.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from evener import cluster, errors, placement, profiles, variables, versions, watch
from evener.cluster import Machine
from evener.config.load import LoadedJob, job_to_json, load_job
from evener.config.resumed import check_same_training
from evener.config.schema import Job
from evener.events import RunEnded
from evener.image.build import Content
from evener.image.recipe import PYPI
from evener.launch import belongings, planning, pool, project, shipment
from evener.launch.base import Launcher, Rendered
from evener.launch.docker import DockerLauncher
from evener.launch.local import LocalLauncher
from evener.launch.places import launcher_of
from evener.launch.record import record, started
from evener.launch.swarm import SwarmLauncher
from evener.placement import DOCKER, LOCAL, POOL, SWARM, Plan
from evener.probe import probe
from evener.profiles import Profiles
from evener.rundir import layout, measured
from evener.rundir.layout import RunDir
from evener.rundir.recover import recover
from evener.state import EMPTY, RunState

PROFILE_NAME = "profile.json"
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a person asks for. `job` is a job file or a recipe; with `resume` a run, by its name."""

    job: str
    overrides: tuple[str, ...] = ()
    workers: int | None = None
    name: str | None = None
    resume: bool = False
    debug: bool = False  # torch and its libraries say what they do
    on: str | None = None  # a place; a resumed run stays where it was, a new one is local
    profiles: Path | None = None  # what a bench has found of its ranks
    folder: Path = field(default_factory=Path)
    root: Path | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A run that is decided upon; nothing of it is written or started yet."""

    root: Path
    name: str  # for a new run: the wish; `start` claims the first name that is free
    job: Job
    machine: Machine
    plan: Plan
    resumed: bool
    notes: tuple[str, ...] = ()
    step: int = 0  # where a resumed run stood
    profiles: Profiles | None = None  # of its ranks, where they were measured before

    @property
    def run(self) -> RunDir:
        return RunDir(self.root / self.name)


def need_torch() -> None:
    """Say what is missing before anything is started, without importing it."""
    if importlib.util.find_spec("torch") is None:
        raise errors.ExtraMissing(
            "torch is not installed here, and it is what trains",
            where=sys.executable,
            fix='pip install "evener[train]"',
        )


# ---------------------------------------------------------------------------- deciding


def prepare(request: RunRequest, launcher: Launcher | None = None) -> Ready:
    """Read, check and plan; write nothing."""
    if request.name is not None and not RUN_NAME.fullmatch(request.name):
        raise errors.BadCommand(
            f"{request.name!r} cannot name a run",
            where="--name",
            fix="letters, digits, '.', '_' and '-', at most 64",
        )
    ready = _resumed(request, launcher) if request.resume else _fresh(request)
    if request.profiles is not None:
        return profiled(ready, request.folder / request.profiles)
    return _still_profiled(ready) if ready.run.profiles_file.is_file() else ready


def profiled(ready: Ready, file: Path) -> Ready:
    """With what `file` says of its ranks. Raises where that is broken, or says it of others."""
    found = measured.read(file)
    expected = placement.expected(ready.plan, ready.machine)
    found = profiles.fitting(found, expected, profiles.depends_on(ready.job), str(file))
    notes = profiles.notes(found, datetime.now(UTC), versions.installed())
    return replace(ready, profiles=found, notes=(*ready.notes, *notes))


def _still_profiled(ready: Ready) -> Ready:
    """What its first start was told holds for a resumed run, if its ranks are still the same."""
    try:
        return profiled(ready, ready.run.profiles_file)
    except errors.ProfilesUnfit as error:
        note = f"what was known of the ranks' speeds no longer holds: {error.what}"
        return replace(ready, notes=(*ready.notes, note))


def _fresh(request: RunRequest) -> Ready:
    loaded = _load(request.job, request)
    root = _root(request, loaded)
    wanted = request.name or loaded.name
    name = free_name(root, wanted)
    notes: tuple[str, ...] = ()
    if name != wanted:
        notes = (f"there is a run called {wanted} already: this one is {name}",)
    code = _code_folders(loaded, request)
    place = request.on or LOCAL
    if place == DOCKER:
        _check_one_count(request, loaded.job)
    ready = _planned(root, name, loaded.job, place, code, resumed=False, notes=notes)
    return _debugged(ready) if request.debug else ready


def _check_one_count(request: RunRequest, job: Job) -> None:
    if request.workers is not None and job.machines:
        raise errors.BadCombination(
            "the job's [[machines]] say how many containers there are, and so does --workers",
            where=f"--workers {request.workers}",
            fix="leave --workers out, or take the tables out with -o machines=",
        )


def _debugged(ready: Ready) -> Ready:
    """With the variables of --debug, below those of the job."""
    env = variables.DEBUG | dict(ready.plan.env)
    return replace(ready, plan=replace(ready.plan, env=env))


def _code_folders(loaded: LoadedJob, request: RunRequest) -> tuple[str, ...]:
    """Where the job's own modules are looked for. A script looks as Python does: beside itself."""
    if loaded.job.script.path:
        return ()
    return tuple(dict.fromkeys(str(f.resolve()) for f in (loaded.folder, request.folder)))


def _resumed(request: RunRequest, launcher: Launcher | None) -> Ready:
    """The stored job goes on, whatever became of the job file; overrides may still adjust it."""
    run = layout.find(_runs(request), request.job)
    launcher = launcher or launcher_of(run)
    if launcher.alive(run):
        raise errors.RunActive(
            f"{run.name} is still going",
            where=str(run.path),
            fix=f"`evener status {run.name}` shows it, `evener stop {run.name}` stops it",
        )
    recover(run)  # before the new start is recorded: an old end must not come after it
    state = watch.present(run, launcher)
    if state.phase == "finished":
        raise errors.NothingToResume(
            f"{run.name} finished, at step {state.step}",
            where=str(run.path),
            fix="`evener run JOB` starts a new run",
        )
    file = str(run.job_file.absolute())
    stored = load_job(file, (), request.folder).job
    job = _load(file, request).job
    check_same_training(stored, job)
    plan = placement.from_dict(layout.read_json(run.plan_file))
    if plan.purpose == placement.BENCH:
        raise errors.NothingToResume(
            f"{run.name} is a bench: it measured, and trained nothing",
            where=str(run.path),
            fix="`evener bench JOB` measures again; the folder can be removed",
        )
    place = request.on or plan.place
    if place in (project.PLACE, project.STACK):
        raise project.not_ours(run)
    ready = _planned(run.path.parent, run.name, job, place, plan.code, resumed=True)
    ready = replace(ready, step=state.step)
    return _debugged(ready) if request.debug else ready


def _runs(request: RunRequest) -> Path:
    return request.root or request.folder / Job.model_fields["log"].default.dir


def _load(source: str, request: RunRequest) -> LoadedJob:
    """The job with the overrides. Fewer workers than the job has agents means fewer agents,
    unless the number of agents was asked for as well: then that is a contradiction to report."""
    if request.workers is None:
        return load_job(source, request.overrides, request.folder)
    overrides = (*request.overrides, f"local.workers={request.workers}")
    try:
        return load_job(source, overrides, request.folder)
    except errors.BadCombination:
        if any(text.startswith("local.agents") for text in request.overrides):
            raise
        overrides = (*overrides, f"local.agents={request.workers}")
        return load_job(source, overrides, request.folder)


def _planned(
    root: Path,
    name: str,
    job: Job,
    place: str,
    code: tuple[str, ...],
    *,
    resumed: bool,
    notes: tuple[str, ...] = (),
) -> Ready:
    if place == LOCAL:
        need_torch()
    machine = probe()
    match place:
        case placement.DOCKER:
            plan = planning.for_engine(job, machine)
        case placement.SWARM:
            plan = planning.for_swarm(job)
        case placement.POOL:
            plan = placement.plan_pool(job, pool.members())
        case _:
            plan = placement.plan(job, [machine])
    plan = replace(plan, code=code)
    notes = (*notes, *plan.notes)
    if place != LOCAL:
        job, told = shipment.provided_for(job, RunDir(root / name))
        notes = (*notes, *told)
    return Ready(root, name, job, machine, plan, resumed, notes)


def prepare_elsewhere(
    request: RunRequest, plan_of: Callable[[Job, Machine], Plan], leave_out: Sequence[Path] = ()
) -> Ready:
    """Planned for where evener is not; nothing of it will be started here. `leave_out` are folders
    that are no code of a script's."""
    loaded = _load(request.job, request)
    _check_one_count(request, loaded.job)
    machine = probe()
    plan = replace(plan_of(loaded.job, machine), code=_code_folders(loaded, request))
    name, root = request.name or loaded.name, _root(request, loaded)
    job, told = shipment.provided_for(loaded.job, RunDir(root / name), leave_out)
    return Ready(root, name, job, machine, plan, False, (*plan.notes, *told))


def _root(request: RunRequest, loaded: LoadedJob) -> Path:
    return request.root or request.folder / loaded.job.log.dir


def free_name(root: Path, wanted: str) -> str:
    """What `claim_name` would answer now; it decides again when the run is started."""
    names = itertools.chain([wanted], (f"{wanted}-{n}" for n in itertools.count(2)))
    return next(name for name in names if not (root / name).exists())


# ------------------------------------------------------------------------------ acting


def launcher_for(ready: Ready, note: Callable[[str], None] = lambda _: None) -> Launcher:
    """Who starts what was decided; `note` hears what takes its time (an image being built)."""
    if ready.plan.place == LOCAL:
        return LocalLauncher(port=ready.job.dashboard.port)
    port = ready.job.dashboard.port
    if ready.plan.place == POOL:
        code = belongings.own_code(ready.job, tuple(map(Path, ready.plan.code)))
        return pool.PoolLauncher(code, belongings.read_paths(ready.job), note, port)
    content, reads = image_content(ready), belongings.mounts(ready.job)
    if ready.plan.place != SWARM:
        return DockerLauncher(content, reads, note, port=port)
    ships = belongings.shipped(ready.job)
    stays = tuple(mount for mount in reads if mount.source not in ships)
    return SwarmLauncher(content, stays, note, port=port, ships=ships)


def image_content(ready: Ready) -> Content:
    """What goes into the image: CUDA only where a container has a GPU."""
    cuda = ready.job.image.cuda
    if cuda == "auto":
        cuda = PYPI if any(a.limits and a.limits.gpus for a in ready.plan.agents) else "cpu"
    return Content(
        ready.job.image, cuda, belongings.own_code(ready.job, tuple(map(Path, ready.plan.code)))
    )


def render(ready: Ready, launcher: Launcher | None = None) -> Rendered:
    """Exactly what `start` would start, secrets masked."""
    return (launcher or launcher_for(ready)).render(ready.plan, ready.run)


def start_run(request: RunRequest, launcher: Launcher | None = None) -> RunDir:
    """Start a run, or go on with one; it lives on its own from then on."""
    return start(prepare(request, launcher), launcher)


def start(ready: Ready, launcher: Launcher | None = None) -> RunDir:
    """Write what was decided, record the start, launch. A failed launch is recorded as the end."""
    launcher = launcher or launcher_for(ready)
    launcher.provide()
    run = _claimed(ready)
    _write_configs(run, ready)
    record(run, started(run, ready.job, ready.plan, resumed=ready.resumed))
    try:
        launcher.start(launcher.render(ready.plan, run))
    except errors.EvenerError as error:
        record(run, RunEnded("failed", ready.step, error.what, error.to_dict()))
        raise
    except KeyboardInterrupt:
        record(run, RunEnded("stopped", ready.step, "interrupted while it was started"))
        raise
    return run


def _claimed(ready: Ready) -> RunDir:
    if not ready.resumed:
        return RunDir(ready.root / layout.claim_name(ready.root, ready.name))
    return ready.run


def _write_configs(run: RunDir, ready: Ready) -> None:
    run.create()
    layout.write_json(run.plan_file, placement.to_dict(ready.plan))
    layout.write_json(run.configs / PROFILE_NAME, cluster.to_dict(ready.machine))
    measured.keep(run, ready.profiles)
    job = ready.job if ready.plan.place == LOCAL else shipment.shipped(ready.job, run)
    layout.write_atomic(run.job_file, job_to_json(job))  # last: it makes the folder a run


def stop_run(run: RunDir, *, now: bool = False, launcher: Launcher | None = None) -> bool:
    """Ask a run to stop, with a checkpoint unless `now`. False where nothing of it is alive."""
    launcher = launcher or launcher_of(run)
    if not launcher.alive(run):
        return False
    launcher.stop(run, now=now)
    return True


def run(request: RunRequest) -> RunState:
    """Train, and return when it is over. Raises the error of a run that failed.

    An interrupt of the caller stops the run as well, with a checkpoint.
    """
    started = start_run(request)
    state = EMPTY
    try:
        for glance in watch.follow(started):
            state = glance.state
    except KeyboardInterrupt:
        stop_run(started)
        raise
    if state.error:
        raise errors.from_dict(state.error)
    return state
