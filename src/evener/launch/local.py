"""Runs as processes of this machine: one head and the plan's agents, free of our terminal.

They outlive whoever started them: a session of their own, no standard input, logs in files. The
secret travels in their environment, where only the same user can read it.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evener import contract, errors, process
from evener.contract import LOOPBACK, AgentEnv, HeadEnv
from evener.launch import doors
from evener.launch.base import (
    MASK,
    Command,
    Handle,
    Rendered,
    Started,
    read_handle,
    write_handle,
)  # fmt: skip
from evener.placement import AgentPlan, Plan
from evener.rundir.layout import RunDir
from evener.wire.asking import Asking
from evener.wire.line import Line

PLACE = "local"
HEAD = "head"
SECRET_BYTES = 32
START_S = 60.0  # for a process to answer: a cold disk reads Python's libraries slowly
STOP_S = 8.0  # after which "at once" is made certain
_POLL_S = 0.05
_AGAIN_S = 0.3  # two signals at once would arrive as one
_TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class LocalLauncher:
    """`python` runs the processes; tests put modules of their own in place of ours."""

    python: str = sys.executable
    head_module: str = "evener.head"
    agent_module: str = "evener.agent"
    vanished_s: float = 3.0
    port: int = 0  # of the head, which shows the run's page; 0: any
    stop_s: float = STOP_S

    def render(self, plan: Plan, run: RunDir) -> Rendered:
        head = HeadEnv(str(run.path.resolve()), MASK, expected_agents=len(plan.agents))
        commands = [
            Command(HEAD, self._argv(self.head_module), contract.to_environ(head), run.head_log)
        ]
        for agent in plan.agents:
            environment = contract.to_environ(_agent_env(agent, plan, run))
            environment |= contract.module_path(plan.code)
            log = run.agent_log(agent.agent)
            argv = self._argv(self.agent_module)
            commands.append(Command(f"agent {agent.agent}", argv, environment, log))
        return Rendered(run, tuple(commands))

    def provide(self) -> None:
        """All of it is installed."""

    def start(self, rendered: Rendered) -> Handle:
        secret = secrets.token_urlsafe(SECRET_BYTES)
        started: list[Child] = []
        try:
            with contextlib.ExitStack() as owned:
                ports = [self.port if c.purpose == HEAD else 0 for c in rendered.commands]
                sockets = [owned.enter_context(doors.opened(port)) for port in ports]
                told = _told(rendered.commands, sockets, secret)
                for command, sock in zip(told, sockets, strict=True):
                    started.append(Child(command, sock))
            handle = _handle(started, secret)
            write_handle(rendered.run, handle)
            for child in started:
                child.await_answer(secret)
        except BaseException:
            for child in started:
                child.end()
            rendered.run.handle_file.unlink(missing_ok=True)
            raise
        return handle

    def stop(self, run: RunDir, *, now: bool) -> None:
        handle = read_handle(run)
        if handle is None:
            return
        agents = [p for p in handle.processes if p.purpose != HEAD]
        if not now:
            for agent in agents:
                process.stop(agent.pid, agent.birth)
            return
        _end(agents, process.stop, self.stop_s)
        heads = [p for p in handle.processes if p.purpose == HEAD]
        _end(heads, process.terminate, self.stop_s)

    def alive(self, run: RunDir) -> bool:
        handle = read_handle(run)
        return handle is not None and any(process.birth(p.pid) == p.birth for p in handle.processes)

    def head(self, run: RunDir) -> None:
        """Its record lies on this machine's disk."""

    def clean(self, run: RunDir) -> None:
        """Processes leave nothing behind."""

    def _argv(self, module: str) -> tuple[str, ...]:
        """-P: a file in the user's folder must not stand in for a module of the same name."""
        return (self.python, "-P", "-m", module)


def _agent_env(agent: AgentPlan, plan: Plan, run: RunDir) -> AgentEnv:
    return AgentEnv(
        run_dir=str(run.path.resolve()),
        secret=MASK,
        agent=agent.agent,
        first_rank=min(r.rank for r in agent.ranks),
        ranks=len(agent.ranks),
        head=f"{LOOPBACK}:{MASK}",
        peers=",".join(f"{a.agent}={LOOPBACK}:{MASK}" for a in plan.agents if a is not agent),
        expected_agents=len(plan.agents),
        hosts=1,
    )


def _told(
    commands: Sequence[Command], sockets: Sequence[socket.socket], secret: str
) -> list[Command]:
    """The commands with what is only known now: the secret, the ports, the sockets to inherit."""
    addresses = [f"{LOOPBACK}:{s.getsockname()[1]}" for s in sockets]
    agents = {c.env.get("EVENER_AGENT"): a for c, a in zip(commands, addresses, strict=True)}
    told = []
    for command, sock, address in zip(commands, sockets, addresses, strict=True):
        env = command.env | {"EVENER_SECRET": secret, "EVENER_LISTEN": address}
        if sys.platform != "win32":
            env["EVENER_FD"] = str(sock.fileno())
        if command.purpose != HEAD:
            own = env["EVENER_AGENT"]
            peers = (f"{a}={where}" for a, where in agents.items() if a not in (None, own))
            env |= {"EVENER_HEAD": addresses[0], "EVENER_PEERS": ",".join(peers)}
        told.append(replace(command, env=env))
    return told


class Child:
    """A process while its launcher still looks after it."""

    def __init__(self, command: Command, sock: socket.socket) -> None:
        self.command = command
        self.address = command.env["EVENER_LISTEN"]
        command.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = command.log.stat().st_size if command.log.exists() else 0
        self._process = _spawn(command, sock)
        # Whoever starts a process waits for it; if we end first, the system does.
        self._waiter = threading.Thread(target=self._process.wait, name="evener-wait", daemon=True)
        self._waiter.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def await_answer(self, secret: str) -> None:
        """Until the process speaks and has proved the secret; its death is a StartFailed.

        Only the process still holds its listening socket: when it dies, so does our connection.
        """
        ask = ask_head if self.command.purpose == HEAD else _ask_agent
        deadline = time.monotonic() + START_S
        while True:
            left_s = deadline - time.monotonic()
            try:
                ask(self.address, secret, max(left_s, _POLL_S))
                return
            except (OSError, errors.StartFailed) as error:
                self._waiter.join(_POLL_S)
                if left_s <= 0 or not self._waiter.is_alive():
                    raise self._failed() from error

    def end(self) -> None:
        """Kill it. What it started dies with it: ranks are bound to their agent."""
        if self._waiter.is_alive():
            self._process.kill()
        self._waiter.join(STOP_S)

    def _failed(self) -> errors.StartFailed:
        status = self._process.returncode
        how = "does not answer" if status is None else f"ended with status {status}"
        lines = _tail(self.command.log, self._log_start)
        return errors.StartFailed(
            f"the {self.command.purpose} {how}" + "".join(f"\n    {line}" for line in lines),
            where=str(self.command.log),
            fix="the log says why",
        )


def _spawn(command: Command, sock: socket.socket) -> subprocess.Popen[bytes]:
    env = contract.inherited_environ() | command.env
    with command.log.open("ab") as log:
        try:
            if sys.platform == "win32":
                sock.close()  # there it cannot be inherited: the port is free again, for the child
                flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
                return subprocess.Popen(
                    command.argv,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    creationflags=flags,
                )
            return subprocess.Popen(
                command.argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(sock.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            raise errors.StartFailed(
                f"the {command.purpose} cannot be started: {error}",
                where=command.argv[0],
                fix="start evener with a Python that is there and may be run",
            ) from error


def _ask_agent(address: str, secret: str, timeout_s: float) -> None:
    Line.connect(address, secret, {"role": "launcher"}, timeout_s).close()


def ask_head(address: str, secret: str, timeout_s: float) -> None:
    with contextlib.closing(Asking(address, secret, timeout_s)) as asking:
        asking.ask("POST", "/v1/events", b'{"events": []}')


def _handle(children: Sequence[Child], secret: str) -> Handle:
    processes = tuple(
        Started(c.command.purpose, c.pid, process.birth(c.pid) or "ended") for c in children
    )
    return Handle(PLACE, children[0].address, secret, processes=processes)


def _end(processes: Sequence[Started], ask: Callable[[int, str], bool], grace_s: float) -> None:
    """Two signals mean "at once" to an agent; who is still there after the grace is killed."""
    deadline = time.monotonic() + grace_s
    while left := [p for p in processes if process.birth(p.pid) == p.birth]:
        act = process.kill if time.monotonic() > deadline else ask
        for each in left:
            act(each.pid, each.birth)
        time.sleep(_AGAIN_S)


def _tail(log: Path, start: int) -> list[str]:
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    return []
