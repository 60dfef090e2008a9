"""Runs as services of a Docker Swarm. What is there, Docker's labels say; no file of ours."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evener import errors, placement
from evener.config.load import job_from_json
from evener.docker import Engine, swarm
from evener.docker.swarm import Task
from evener.events import Alert
from evener.image import build
from evener.launch import containers, ferries, janitor, packets, refusals, services, wishes
from evener.launch.base import Command, Handle, Rendered, write_handle
from evener.launch.containers import HEAD, Mount, Outside
from evener.launch.docker import DockerLauncher, Left
from evener.launch.ferries import Freight
from evener.launch.silence import Silence
from evener.placement import SWARM, Place, Plan
from evener.rundir import cargo, freight, layout
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.wire.outbox import Outbox

START_S = 120.0  # for every machine's container to run,
PULL_S = 3600.0  # and, where a machine gets the image first, for that
TELL_S = 5.0  # of it, once it has taken so long
PENDING_S = 15.0  # that no machine may have it is no passing state then
STOP_S = 20.0
LOOK_S = 2.0  # at who begins,
REST_S = 10.0  # and, when all have, at what we were not told of
_NEWS = ("type=node", "type=container", "event=create", "event=update", "event=die")
RESERVES = (25, 0, 3)  # the first version of Docker that does it right
_POLL_S = 0.3
_MEETING = ("network", "secret")  # what stays while machines get the image
_CUT_DOWN = "Exited (255)"  # with its engine
_WORDS = 12  # lines of a container that ended at once
_JANITOR = "janitor"
_UNRESERVED = (
    "Docker before 25.0.3 stops what has reserved a GPU (moby 44378): the run's GPUs are named to "
    "NVIDIA's toolkit and not reserved, so that another service may get them too"
)
_UNHEARD = (
    "runs its container, and nothing is heard of it: 7946 (tcp and udp) and 4789/udp must be open "
    "between its engine and all others, which train without it"
)


def places(engine: Engine) -> list[Place]:
    """The machines of the Swarm that this engine manages."""
    here, *others = swarm.nodes(engine)
    passing = packets.passing(here.address, [n.address for n in others if not n.why_not])
    return [
        Place(n.id, n.name, n.cpus, n.why_not, n.gpu_kind, n.gpus, passing.get(n.address))
        for n in (here, *others)
    ]


@dataclass(frozen=True, slots=True)
class SwarmLauncher(DockerLauncher):
    """As on one engine, but that agents are services. The head's container tells whether the run
    goes on: it ends when all agents have."""

    place: str = SWARM
    ships: tuple[str, ...] = ()  # data that machines get from the head
    _joined: set[str] = field(default_factory=set)  # services of those who came, until they run
    _left_out: set[str] = field(default_factory=set)  # machines that cannot train, when last seen
    _silence: Silence = field(default_factory=Silence)

    def render(self, plan: Plan, run: RunDir) -> Rendered:
        outside = self.outside(self._image())
        head = services.watchful_head_of(plan, run, outside)
        commands = [
            ("network", services.network_command(run, services.mtu(plan))),
            ("secret", services.secret_command(run)),
            (head.role, containers.run_command(head, run, outside)),
        ]
        for each in services.services(plan, run, outside, reserve=self._may_reserve()):
            commands.append((each.role, services.service_command(each, run, outside.image)))
        return Rendered(
            run, tuple(Command(what, self._argv(*argv), {}, run.logs) for what, argv in commands)
        )

    def provide(self) -> None:
        """On this machine, and where the others can get it, if the job names such a place."""
        assert self.content is not None
        DockerLauncher.provide(self)  # a class with slots is made twice: super() takes the other
        if self.content.image.registry:
            tag, registry = self._provided[-1], self.content.image.registry
            self._provided.append(build.pushed(self.engine, tag, registry, self.note))

    def start(self, rendered: Rendered) -> Handle:
        plan = placement.from_dict(layout.read_json(rendered.run.plan_file))
        if any(a.limits and a.limits.gpus for a in plan.agents) and not self._may_reserve():
            self.note(_UNRESERVED)
        if self.ships:
            cargo.pack(rendered.run, (), self.ships)
        return DockerLauncher.start(self, rendered)

    def _may_reserve(self) -> bool:
        """An older manager stops whatever has reserved a GPU when something of its machine changes
        (moby 44378): a network that comes there is enough."""
        try:
            version = self.engine.facts().version
        except errors.MachineError:  # as for a dry run
            return True
        return not version or version >= RESERVES

    def take_in(self, run: RunDir) -> None:
        """The head of a run that goes on, from a folder of this machine, and who looks after it."""
        plan = placement.from_dict(layout.read_json(run.plan_file))
        outside = self.outside(self._as_started(run, plan).image)
        head = services.watchful_head_of(plan, run, outside)
        self._start(containers.run_command(head, run, outside))
        secret = run.secret_file.read_text(encoding="utf-8").strip()
        write_handle(run, Handle(self.place, self._head_address(run), secret, ()))
        janitor.leave(run)

    def stop(self, run: RunDir, *, now: bool) -> None:
        self._check_home(run)
        if not now:
            self._ask_to_stop(run)
            return
        with contextlib.suppress(errors.DockerFailed, errors.RunVanished):
            self._ask_to_stop(run)
            deadline = time.monotonic() + STOP_S
            while self.living(run) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        self.clean(run)

    def _check_home(self, run: RunDir) -> None:
        adopted = len(self._listed("config", run))
        if adopted > freight.adoptions(freight.identity(run)):
            raise errors.RunActive(
                "another manager has adopted the run while this machine was away",
                where=str(run.path),
                fix="stop it there; `evener stop` here removes what is left when it has ended",
            )

    def attend(self, run: RunDir, alive: Iterable[str]) -> None:
        """A machine that has joined the Swarm gets an agent of its own. Asking for it again and
        again would cost the training some of its time: so we are told."""
        plan = placement.from_dict(layout.read_json(run.plan_file))
        known = {agent.node for agent in plan.agents}
        restless = self._listen(run, plan) or self._joined
        if swarm.ids(self.engine) <= known | self._left_out:
            self.engine.await_event(*_NEWS, limit_s=LOOK_S if restless else REST_S)
        self._wake_head(run)
        self._see_in(run)
        self._revive(run)
        deadline = time.monotonic() + LOOK_S  # who has joined is not ready at once
        while new := swarm.ids(self.engine) - known:
            if self._admit(run, plan):
                return
            if new <= self._left_out or time.monotonic() > deadline:
                self._left_out.update(new)
                return
            time.sleep(_POLL_S)

    def _admit(self, run: RunDir, plan: Plan) -> bool:
        """Whoever is there and not in the plan; False where none of them can train."""
        job = job_from_json(run.job_file.read_text(encoding="utf-8"))
        grown = placement.with_joined(plan, job, places(self.engine))
        if grown is plan:
            return False
        outside, known = self._as_started(run, plan), {agent.machine for agent in plan.agents}
        layout.write_json(run.plan_file, placement.to_dict(grown))  # which it fetches
        try:
            for each in services.services(grown, run, outside, reserve=self._may_reserve()):
                if each.alias not in known:
                    self.engine.call(*services.service_command(each, run, outside.image))
                    self._joined.add(each.name)
        except errors.EvenerError:
            layout.write_json(run.plan_file, placement.to_dict(plan))
            raise
        return True

    def _see_in(self, run: RunDir) -> None:
        """Whoever has joined gets the image too, once; what else hinders it the record says."""
        tasks = list(swarm.tasks(self.engine, self._joined))
        running = {task.service for task in tasks if task.state == "Running"}
        lost = {t.service: t for t in tasks if t.failed and t.service not in running}
        self._joined.difference_update(running | {*lost})
        lacking = [t for t in lost.values() if self._freight(run, [t], "") is not None]
        for task in lost.values():
            if task not in lacking:
                self._tell_of(run, self._refused(run, [task]))
        if lacking:
            plan = placement.from_dict(layout.read_json(run.plan_file))
            self._supply(run, self._as_started(run, plan).image, lacking)

    def _supply(self, run: RunDir, image: str, lacking: list[Task]) -> None:
        """All at once: to send it, the whole of it is written down first. Where one machine cannot
        take it, the others get it all the same."""
        while lacking:
            try:
                if freight := self._freight(run, lacking, image):
                    self._bring(freight, lacking)
                break
            except errors.ImageMissing as error:
                self._tell_of(run, error)
                left = [task for task in lacking if task.node != error.where]
                lacking = left if len(left) < len(lacking) else []
        for task in lacking:
            self.engine.call(*_anew(task.service))

    def _tell_of(self, run: RunDir, error: errors.EvenerError) -> None:
        self._tell(run, f"{error.what}; the run goes on without it. What helps: {error.fix}")

    def _listen(self, run: RunDir, plan: Plan) -> bool:
        """For machines that never come to the others. Whether any has yet to say a word."""
        silent = {services.name_of(run, a.machine): a for a in self._silence.silent(run, plan)}
        begun = {t.service for t in swarm.tasks(self.engine, silent) if t.state == "Running"}
        for agent in self._silence.late([silent[s] for s in begun], time.monotonic()):
            self._tell(run, f"{agent.machine} {_UNHEARD}")
        return bool(silent)

    def _tell(self, run: RunDir, text: str) -> None:
        if place := self.head(run):
            with Outbox(place.address, place.secret, _JANITOR, run.spool(_JANITOR)) as outbox:
                outbox.put(Alert("warning", text))

    def _wake_head(self, run: RunDir) -> None:
        """An engine that starts again does not start a container whose network comes up later."""
        for each in self._containers(run):
            if each["Names"].endswith(f"-{HEAD}") and each["Status"].startswith(_CUT_DOWN):
                self.engine.call("start", each["ID"])

    def _given_up(self, run: RunDir) -> dict[str, tuple[str, ...]]:
        """The head, and those of whom the Swarm starts no more tasks."""
        idle = [s["Name"] for s in self._listed("service", run) if s["Replicas"].startswith("0/")]
        newest = {t.service: t for t in reversed([*swarm.tasks(self.engine, idle)])}
        down = [name for name, task in newest.items() if task.failed or task.state == "Shutdown"]
        return DockerLauncher._given_up(self, run) | {name: _anew(name) for name in down}

    def _as_started(self, run: RunDir, plan: Plan) -> Outside:
        """What the first service was made with. Raises DockerFailed where it is gone."""
        first = services.name_of(run, plan.agents[0].machine)
        told = json.loads(self.engine.call("service", "inspect", first))[0]
        spec = told["Spec"]["TaskTemplate"]["ContainerSpec"]
        mounts = (m for m in spec.get("Mounts", ()) if m.get("Source"))
        reads = tuple(Mount(m["Source"], m["Target"]) for m in mounts)
        return Outside(spec["Image"], "", "", reads)

    def _ask_to_stop(self, run: RunDir) -> None:
        """By its head: nobody else here reaches all agents. A run that has ended just now needs
        no asking."""
        self._wake_head(run)
        head = self.head(run)
        try:
            if head is None:
                raise wishes.unheard(run, "it is being started again")
            wishes.ask(run, head, "stop")
        except errors.RunVanished:
            if not _has_ended(run):
                raise

    def living(self, run: RunDir) -> set[str]:
        """Agents go on while the head's machine is away, and when it is back."""
        services = self._listed("service", run)
        running = {s["ID"] for s in services if not s["Replicas"].startswith("0/")}
        return DockerLauncher.living(self, run) | running

    def alive(self, run: RunDir) -> bool:
        """Where this machine's engine does not answer, the others are taken to go on."""
        unasked = time.monotonic() - LOOK_S
        self._looks.setdefault(run.path, (unasked, True))
        return DockerLauncher.alive(self, run)

    def left(self, run: RunDir) -> Left:
        found = DockerLauncher.left(self, run)
        found |= {
            kind: [s["ID"] for s in self._listed(kind, run)]
            for kind in ("service", "secret", "config")
        }
        order = ("service", "container", "network", "secret", "config")
        return {kind: found[kind] for kind in order if found.get(kind)}

    def _listed(self, kind: str, run: RunDir) -> list[dict[str, Any]]:
        """The run's services or secrets, or the notes that it found another home."""
        return self.engine.ask(kind, "ls", containers.label_filter(run), short=True)

    def _settle(self, rendered: Rendered) -> None:
        """Until a container runs on every machine. Where one lacks the image, all are taken back
        until it is there: those who have begun would not wait for long."""
        DockerLauncher._settle(self, rendered)
        run, brought = rendered.run, set[str]()
        while lost := self._lost(run, {each["Name"] for each in self._listed("service", run)}):
            lacking = {task.node for task in lost}
            freight = self._freight(run, lost, self._image())
            if freight is None or lacking <= brought:
                raise self._refused(run, lost)
            brought |= lacking
            self._withdraw(run)
            self._bring(freight, lost)
            for command in rendered.commands:
                if command.purpose not in _MEETING:
                    self._start(command.argv[len(self.engine.program) :])

    def _lost(self, run: RunDir, wanted: set[str]) -> list[Task]:
        """What does not start, once it is known of every machine; nothing where all run."""
        began, told = time.monotonic(), False
        while True:
            tasks = list(swarm.tasks(self.engine, wanted))
            running = {task.service for task in tasks if task.state in ("Running", "Complete")}
            if wanted <= running:
                return []
            waited = time.monotonic() - began
            lost = [t for t in tasks if t.service not in running and _is_lost(t, waited)]
            known = {task.service for task in lost} | running
            if lost and (known == wanted or waited > PENDING_S):
                return lost
            pulling = sorted({t.node for t in tasks if t.state == "Preparing"})
            if pulling and waited > TELL_S and not told:
                self.note(f"{', '.join(pulling)}: the image is being fetched")
                told = True
            if waited > (PULL_S if pulling else START_S):
                missing = ", ".join(sorted(wanted - running))
                raise errors.StartFailed(
                    f"after {waited:.0f} s there is no container of {missing}",
                    where="--on swarm",
                    fix="`docker service ps --no-trunc NAME` says what it waits for",
                )
            time.sleep(_POLL_S)

    def _withdraw(self, run: RunDir) -> None:
        """The head first: it would tell that the others failed."""
        self.engine.call("rm", "--force", "--volumes", *(c["ID"] for c in self._containers(run)))
        self.engine.call("service", "rm", *(s["ID"] for s in self._listed("service", run)))

    def _freight(self, run: RunDir, lost: Iterable[Task], image: str) -> Freight | None:
        """None where it was not the image that was missing, or a registry is there for that."""
        own = job_from_json(run.job_file.read_text(encoding="utf-8")).image
        if own.registry or not all(map(refusals.lacks_image, lost)):
            return None
        return Freight(run, image, own.start)

    def _refused(self, run: RunDir, lost: Sequence[Task]) -> errors.EvenerError:
        """What hinders them, with the last words of a container that had begun. A task that no
        machine may have is called by the one that it is for."""
        plan = placement.from_dict(layout.read_json(run.plan_file))
        names = {services.name_of(run, agent.machine): agent.machine for agent in plan.agents}
        lost = [replace(task, node=task.node or names[task.service]) for task in lost]
        words: list[str] = []
        if lost[0].state == "Failed":
            asked = ("service", "logs", "--raw", f"--tail={_WORDS}", lost[0].service)
            with contextlib.suppress(errors.DockerFailed):  # no container: it has said nothing
                words = self.engine.call(*asked).splitlines()
        return refusals.refused(lost, words)

    def _bring(self, freight: Freight, lost: Iterable[Task]) -> None:
        """To where these tasks were."""
        plan = placement.from_dict(layout.read_json(freight.run.plan_file))
        nodes = {services.name_of(freight.run, agent.machine): agent.node for agent in plan.agents}
        machines = {task.node: nodes[task.service] for task in lost}
        ferries.bring(self.engine, freight, machines, self.note)


def _anew(service: str) -> tuple[str, ...]:
    """The Swarm counts anew, too, how often it has started it."""
    return ("service", "update", "--force", "--detach", service)


def _has_ended(run: RunDir) -> bool:
    with Store.open(run.db, write=False) as store:
        return store.has_ended


def _is_lost(task: Task, waited: float) -> bool:
    return task.failed or (bool(task.error) and waited > PENDING_S)
