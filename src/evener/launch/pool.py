"""Runs on the machines of a pool: the head is a process here, an agent a wish that a machine gets.

Whether a run goes on its head tells: it ends when all agents have. A janitor stays with it, starts
the head again should it die, and gives machines that join meanwhile an agent of their own.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evener import contract, errors, placement, process, units
from evener.cluster import from_dict
from evener.config.load import job_from_json
from evener.contract import LOOPBACK, HeadEnv
from evener.launch import doors, janitor, local
from evener.launch.base import (
    MASK,
    Command,
    Handle,
    HeadPlace,
    Rendered,
    Started,
    read_handle,
    write_handle,
)  # fmt: skip
from evener.launch.containers import identity
from evener.launch.local import HEAD, SECRET_BYTES, Child
from evener.launch.wishes import ask
from evener.placement import POOL, AgentPlan, Joined, Plan
from evener.placement.words import counted
from evener.pool import client, paths, wish
from evener.pool.paths import Ways
from evener.pool.wish import MOVED, Told
from evener.rundir import cargo, layout
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

START_S = 30.0  # for the machines to say that they have started their agents
LATE_S = 10.0  # some have, and the others may be asleep
STOP_S, PART_S = 15.0, 8.0
LOOK_S = 1.0
AWAY_LOOKS = 3600  # at a pool whose server is gone, as the head is
BORN_S = 2.0  # a head that dies sooner is not started again at once
_POLL_S = 0.2


def members(network: str = "") -> list[Joined]:
    """The machines of this machine's pool, its own first, as they are reached by `network`; by the
    one that a new run would be on, if none is said."""
    by = client.owner()
    found = sorted(by.members(), key=lambda m: (not m["own"], m["joined_at"]))
    network = network or paths.chosen(by.network(), [_ways(m) for m in found if m["door"]])
    return [_joined(member, network) for member in found]


def _joined(member: dict[str, Any], network: str) -> Joined:
    machine = replace(from_dict(member["machine"]), name=str(member["name"]))
    why = _ways(member).why_not(network) if member["door"] else "it is away"
    if not machine.torch:
        why = 'it has no torch: pip install "evener[train]" there, then join again'
    return Joined(str(member["id"]), machine, why)


def _ways(member: dict[str, Any]) -> Ways:
    return Ways(str(member["door"]), str(member["mesh"]), str(member["hindrance"]))


def _silent(text: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class PoolLauncher:
    """`code` and `reads` are what travels: needed to start a run, not to stop or find one."""

    code: tuple[Path, ...] = ()
    reads: tuple[str, ...] = ()
    note: Callable[[str], None] = field(default=_silent)
    port: int = 0  # of this machine, where the head shows the run's page; 0: any
    vanished_s: float = 20.0  # the janitor starts a head again

    def render(self, plan: Plan, run: RunDir) -> Rendered:
        commands = [_head(plan, run, f"{LOOPBACK}:{MASK}", MASK)]
        for agent in plan.agents:
            masked = {each.node: MASK for each in plan.agents}
            told = _told(agent, plan, run, masked, MASK)
            env = wish.environment(told, MASK, MASK, -1)
            what = f"agent {agent.agent} on {agent.machine}"
            commands.append(Command(what, _argv("evener.agent"), env, run.logs))
        return Rendered(run, tuple(commands))

    def provide(self) -> None:
        """Nothing is built; what will travel is looked at, and its size said."""
        for what, found in (("code", self.code), ("data", tuple(map(Path, self.reads)))):
            for path in found:
                if not path.exists():
                    raise errors.DataMissing(
                        f"{path} is not there", where="--on pool", fix="correct the path in the job"
                    )
                size = cargo.size(path)
                self.note(
                    f"each machine gets your {what}: {path.name} ({counted(size.files, 'file')}, "
                    f"{units.show_size(size.size_bytes)})"
                )

    def start(self, rendered: Rendered) -> Handle:
        run, secret = rendered.run, secrets.token_urlsafe(SECRET_BYTES)
        plan = placement.from_dict(layout.read_json(run.plan_file))
        self.clean(run)  # what an earlier start has left
        cargo.pack(run, self.code, self.reads)
        head: Child | None = None
        try:
            with doors.opened(self.port) as sock:
                address = "{}:{}".format(*sock.getsockname()[:2])
                head = Child(_with_socket(_head(plan, run, address, secret), sock.fileno()), sock)
            born = Started(HEAD, head.pid, process.birth(head.pid) or "ended")
            handle = Handle(POOL, address, secret, (born,))
            write_handle(run, handle)
            head.await_answer(secret)
            _want(plan, run, handle, plan.agents)
            _settle(run)
            janitor.leave(run)
        except BaseException:
            with contextlib.suppress(errors.PoolAway, errors.NoPool):
                client.owner().withdraw(identity(run))
            if head is not None:
                head.end()
            run.handle_file.unlink(missing_ok=True)
            raise
        return handle

    def stop(self, run: RunDir, *, now: bool) -> None:
        """The head passes it on to agents that nobody else here reaches."""
        handle = read_handle(run)
        if handle is None:
            return
        try:
            ask(run, HeadPlace(handle.head, handle.secret), "stop")
        except errors.RunVanished:
            if not now:
                raise
        if now:
            self._wait(run, STOP_S)
            self.clean(run)
            self._wait(run, PART_S)
            for each in handle.processes:
                process.terminate(each.pid, each.birth)

    def _wait(self, run: RunDir, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while self.alive(run) and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def alive(self, run: RunDir) -> bool:
        """Where this machine was off, other machines may have gone on without its head: what they
        do its pool's server knows, and while that is not up they are taken to go on."""
        handle = read_handle(run)
        if handle is None or _lives(handle):
            return handle is not None
        try:
            return not _has_ended(run) and bool(_wishes(run))
        except errors.NoPool:
            return False
        except errors.PoolAway:
            return True

    def head(self, run: RunDir) -> None:
        """Its record lies on this machine's disk."""

    def clean(self, run: RunDir) -> None:
        with contextlib.suppress(errors.PoolAway, errors.NoPool):
            client.owner().withdraw(identity(run))
        shutil.rmtree(run.cargo, ignore_errors=True)

    # -------------------------------------------------------------------- of the janitor

    def look_after(self, run: RunDir) -> None:
        """Until the run has ended, or has a new start and with it a janitor of its own."""
        handle = read_handle(run)
        away = 0
        while handle is not None and away < AWAY_LOOKS:
            time.sleep(LOOK_S)
            now = read_handle(run)
            if now is None or now.secret != handle.secret:
                return
            handle = now
            if _lives(handle):
                with contextlib.suppress(errors.PoolAway, errors.NoPool):
                    self._let_in(run, handle)
                continue
            if _has_ended(run):
                break
            try:
                if not _wishes(run):
                    break
            except errors.NoPool:
                return
            except errors.PoolAway:  # and with it the way to the head
                away += 1
                continue
            away, handle = 0, self._again(run, handle)
        self.clean(run)

    def _again(self, run: RunDir, handle: Handle) -> Handle:
        """The head, on the port that it had."""
        plan = placement.from_dict(layout.read_json(run.plan_file))
        with contextlib.suppress(OSError), doors.exactly(handle.head) as sock:
            command = _with_socket(_head(plan, run, handle.head, handle.secret), sock.fileno())
            child = Child(command, sock)
            born = Started(HEAD, child.pid, process.birth(child.pid) or "ended")
            handle = replace(handle, processes=(born,))
            write_handle(run, handle)
            time.sleep(BORN_S)
        return handle

    def _let_in(self, run: RunDir, handle: Handle) -> None:
        """A machine that has joined the pool gets an agent of its own, and one that has moved."""
        plan = placement.from_dict(layout.read_json(run.plan_file))
        by = client.owner()
        there = {str(member["id"]) for member in by.members() if member["door"]}
        known = by.run(identity(run))
        if known is None:
            return
        moved = _moved(known["wishes"]) & there
        if (there <= {agent.node for agent in plan.agents} and not moved) or _has_ended(run):
            return
        job = job_from_json(run.job_file.read_text(encoding="utf-8"))
        grown = placement.with_newcomers(plan, job, members(str(known["network"])), moved)
        if grown is plan:
            return
        layout.write_json(run.plan_file, placement.to_dict(grown))  # which it fetches
        _want(grown, run, handle, grown.agents[len(plan.agents) :])


def go_on() -> None:
    """After this machine was off: who looks after its runs is there again, and starts their heads.
    Machines that were on have trained meanwhile."""
    for known in client.owner().runs():
        run = RunDir(Path(str(known["folder"])))
        handle = read_handle(run) if known["folder"] else None
        if handle is not None and not (_lives(handle) or _has_ended(run)):
            janitor.leave(run)


def _lives(handle: Handle) -> bool:
    return any(process.birth(p.pid) == p.birth for p in handle.processes)


def _argv(module: str) -> tuple[str, ...]:
    return ("python", "-P", "-m", module)


def _head(plan: Plan, run: RunDir, address: str, secret: str) -> Command:
    told = HeadEnv(
        str(run.path.resolve()), secret, listen=address, expected_agents=len(plan.agents)
    )
    argv = (local.LocalLauncher().python, *_argv("evener.head")[1:])
    return Command(HEAD, argv, contract.to_environ(told), run.head_log)


def _with_socket(command: Command, fd: int) -> Command:
    return replace(command, env=command.env | {contract.PREFIX + "FD": str(fd)})


def _told(agent: AgentPlan, plan: Plan, run: RunDir, doors_of: dict[str, str], secret: str) -> Told:
    """What the agent's machine needs to start it."""
    last = {a.node: a.agent for a in plan.agents}  # of a machine that has moved
    peers = (f"{a}={doors_of[node]}" for node, a in last.items() if doors_of.get(node))
    own = f"{agent.agent}="
    return Told(
        name=run.name,
        agent=agent.agent,
        first_rank=min(rank.rank for rank in agent.ranks),
        ranks=len(agent.ranks),
        expected_agents=len(last),
        door=doors_of.get(agent.node, ""),
        peers=",".join(peer for peer in peers if not peer.startswith(own)),
        secret=secret,
    )


def _want(plan: Plan, run: RunDir, handle: Handle, agents: Iterable[AgentPlan]) -> None:
    """Tell the pool which machines are to have an agent of the run."""
    by, word = client.owner(), secrets.token_hex(3)
    ways = {str(m["id"]): _ways(m) for m in by.members()}
    known = by.run(identity(run))
    network = str(known["network"]) if known else _network(plan, ways)
    doors_of = {member: way.door(network) for member, way in ways.items()}
    if known is not None:  # those that have an agent answer where that was started
        lives = [w for w in known["wishes"] if w["ended"] is None]
        doors_of |= {str(w["member"]): str(w["door"]) for w in lives}
    wishes = [
        {
            "id": f"{identity(run)}-{word}-{agent.agent}",
            "member": agent.node,
            "told": wish.to_dict(_told(agent, plan, run, doors_of, handle.secret)),
        }
        for agent in agents
    ]
    told = {"key": identity(run), "name": run.name, "head": handle.head, "secret": handle.secret}
    folder = str(run.path.resolve())
    by.want({**told, "folder": folder, "network": network, "wishes": wishes})


def _moved(wishes: Iterable[dict[str, Any]]) -> set[str]:
    """Machines whose agent has ended because they have another address, and have no other."""
    found = [(str(w["member"]), w["ended"]) for w in wishes]
    return {m for m, status in found if status == MOVED} - {m for m, s in found if s is None}


def _network(plan: Plan, ways: Mapping[str, Ways]) -> str:
    """Of a run that begins: directly, if all of its machines are reached so."""
    policy = client.owner().network()
    hindered = any(ways[a.node].hindrance for a in plan.agents if a.node in ways)
    return policy if policy != paths.AUTO else paths.MESH if hindered else paths.HOST


def _wishes(run: RunDir) -> list[dict[str, Any]]:
    """Of agents that live, or are to."""
    found = client.owner().run(identity(run))
    return [w for w in found["wishes"] if w["ended"] is None] if found else []


def _settle(run: RunDir) -> None:
    """Until every machine has started its agent, but for those that have fallen asleep."""
    began = time.monotonic()
    while True:
        found = client.owner().run(identity(run))
        wishes = found["wishes"] if found else []
        for each in wishes:
            if each["ended"]:
                raise errors.StartFailed(
                    f"agent {each['agent']} ended with status {each['ended']}\n{each['words']}",
                    where=f"a machine of the pool, agent {each['agent']}",
                    fix="the lines above are its own",
                )
        waiting = [w for w in wishes if not w["running"] and w["ended"] is None]
        waited = time.monotonic() - began
        if not waiting or (waited > LATE_S and len(waiting) < len(wishes)):
            return
        if waited > START_S:
            raise errors.StartFailed(
                "no machine of the pool has started an agent",
                where="--on pool",
                fix="`evener nodes` says which machines are there",
            )
        time.sleep(_POLL_S)


def _has_ended(run: RunDir) -> bool:
    with contextlib.suppress(errors.EvenerError), Store.open(run.db, write=False) as store:
        return store.has_ended
    return False
