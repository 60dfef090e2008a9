"""A run with real agents and fake ranks: started, watched and ended by a test."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from evener import contract, events, placement
from evener.cluster import Machine
from evener.config.load import job_to_json
from evener.config.schema import Job
from evener.contract import AgentEnv
from evener.events import Event, RunEnded
from evener.placement import Plan
from evener.rundir import layout
from evener.rundir.layout import RunDir

SECRET = "of the rehearsal"
PATIENCE_S = 60.0
RUNNER = Path(__file__).with_name("run_agent.py")
E = TypeVar("E")


class Intake:
    """Stands for the head: takes events over HTTP and keeps them."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Event]] = []
        self.state: dict[str, Any] = {}  # as `/v1/state` tells it; {} while it cannot say
        self.asks: list[tuple[str, str]] = []  # what a person wants, as a head passes it on
        self.news = threading.Condition()
        intake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Authorization"] == f"Bearer {SECRET}"
                intake.take(json.loads(body)["events"])
                answer = json.dumps({"stored": 0, "asks": intake.asks}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_GET(self) -> None:
                body = json.dumps(intake.state).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Requests are no news."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def take(self, records: list[dict[str, Any]]) -> None:
        with self.news:
            for record in filter(None, map(events.from_dict, records)):
                self.events.append((record.source, record.event))
            self.news.notify_all()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def make_run(
    folder: Path,
    *,
    ranks: int,
    agents: int,
    steps: int,
    membership: dict[str, Any] | None = None,
) -> tuple[RunDir, Plan]:
    """A run's folder as a launcher finds it. Deaths are noticed sooner than by default."""
    run = RunDir(folder / "run")
    run.create()
    wishes = {"standby": True, "max_restarts": 3, "dead_s": 1.0, "heartbeat_s": 0.1}
    job = Job.model_validate(
        {
            "model": {"name": "linear"},
            "data": {"name": "synthetic_regression"},
            "train": {"steps": steps},
            "membership": wishes | (membership or {}),
            "local": {"workers": ranks, "agents": agents, "threads": 1, "device": "cpu"},
        }
    )
    plan = placement.plan(job, [Machine("here", "test", 2.0, 2**33)])
    layout.write_json(run.plan_file, placement.to_dict(plan))
    layout.write_atomic(run.job_file, job_to_json(job))
    return run, plan


class Rehearsal:
    """`agents` x `ranks` on loopback. Use in a `with`: nothing of it stays."""

    def __init__(
        self,
        folder: Path,
        *,
        ranks: int = 3,
        agents: int = 1,
        steps: int = 100_000,
        membership: dict[str, Any] | None = None,
        own: dict[str, dict[str, str]] | None = None,
        revived: int = 0,
        state: dict[str, Any] | None = None,
        **environment: str,
    ) -> None:
        """`own` is the environment that only one agent has, by its name; `state` is the run's, as
        the head tells it to those that ask."""
        self.run, self.plan = make_run(
            folder, ranks=ranks, agents=agents, steps=steps, membership=membership
        )
        self.environment = {"FAKE_STEPS": str(steps)} | environment
        self.own, self.revived = own or {}, revived
        self.intake = Intake()
        self.intake.state = state or {}
        self.agents: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        sockets = {a.agent: socket.create_server(("127.0.0.1", 0)) for a in self.plan.agents}
        addresses = {a: f"127.0.0.1:{s.getsockname()[1]}" for a, s in sockets.items()}
        self._addresses = addresses
        for name, sock in sockets.items():
            self._start(name, sock)
        for sock in sockets.values():
            sock.close()
        return self

    def again(self, name: str, own: dict[str, str] | None = None) -> None:
        """Start an agent that has ended once more, where the others look for it."""
        self.agents[name].wait(PATIENCE_S)
        self.own[name] = own or {}
        host, _, port = self._addresses[name].partition(":")
        with socket.create_server((host, int(port))) as sock:
            self._start(name, sock)

    def _start(self, name: str, sock: socket.socket) -> None:
        (ranks,) = (a.ranks for a in self.plan.agents if a.agent == name)
        others = {a: where for a, where in self._addresses.items() if a != name}
        told = AgentEnv(
            run_dir=str(self.run.path),
            secret=SECRET,
            agent=name,
            first_rank=ranks[0].rank,
            ranks=len(ranks),
            head=self.intake.address,
            fd=sock.fileno(),
            peers=",".join(f"{a}={where}" for a, where in others.items()),
            expected_agents=len(self._addresses),
            revived=self.revived,
        )
        env = contract.inherited_environ() | contract.to_environ(told) | self.environment
        with (self.run.logs / f"agent_{name}.log").open("ab") as log:
            self.agents[name] = subprocess.Popen(
                [sys.executable, str(RUNNER)],
                env=env | self.own.get(name, {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(sock.fileno(),),
                start_new_session=True,
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for agent in self.agents.values():
            agent.kill()
            agent.wait()
        self.intake.close()

    def of(self, kind: type[E]) -> list[E]:
        """The events of `kind` that have arrived."""
        with self.intake.news:
            return [event for _, event in self.intake.events if isinstance(event, kind)]

    def until(self, kind: type[E], wanted: Callable[[E], bool] = lambda _: True) -> E:
        """Wait for an event; what came instead is in the failure."""
        deadline = time.monotonic() + PATIENCE_S
        with self.intake.news:
            while True:
                for _, event in self.intake.events:
                    if isinstance(event, kind) and wanted(event):
                        return event
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self.intake.news.wait(left_s):
                    raise AssertionError(f"no {kind.__name__}; {self.story()}")

    def wait(self) -> dict[str, int]:
        """The agents' exit statuses, once all have ended."""
        return {name: agent.wait(PATIENCE_S) for name, agent in self.agents.items()}

    def end(self) -> RunEnded:
        """The one end of the run, once everything has ended."""
        self.wait()
        ends = self.of(RunEnded)
        assert len(ends) == 1, self.story()
        return ends[0]

    def signal(self, number: int = signal.SIGINT) -> None:
        for agent in self.agents.values():
            agent.send_signal(number)

    def pids(self) -> list[int]:
        """Processes of the run's ranks that are there now, standbys included."""
        numbers = (int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit())
        return [pid for pid in numbers if self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            told = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return b"fake_rank" in line and str(self.run.path).encode() in told

    def story(self) -> str:
        logs = [f"--- {p.name}\n{p.read_text()[-3000:]}" for p in sorted(self.run.logs.iterdir())]
        told = [f"{source} {event}" for source, event in self.intake.events[-30:]]
        return "\n".join(["events:", *told, *logs])
