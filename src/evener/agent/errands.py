"""What an agent has done beside its loop: its machine watched, the data prepared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from evener import cluster, contract
from evener.agent.load import Lookout
from evener.agent.prepare import Prepared, prepare
from evener.contract import RankEnv
from evener.events import Alert, Event, MachineLoad, MachineSeen
from evener.probe import probe
from evener.rundir.layout import RunDir

Emit = Callable[[Event], None]


class Sink(Protocol):
    """Where events go: `wire.outbox.Outbox`."""

    def put(self, event: Event) -> None: ...

    def forward(self, record: dict[str, Any]) -> None: ...

    def flush(self, timeout_s: float) -> bool: ...

    def asks(self) -> list[str]: ...

    @property
    def dropped(self) -> int: ...

    def address(self) -> str: ...


async def watch_machine(agent: str, run: RunDir, sink: Sink) -> None:
    """What it is, once; then how it fares, until nobody wants to know any more."""
    machine = await asyncio.to_thread(probe, run.path)
    sink.put(MachineSeen(agent, cluster.to_dict(machine)))
    with Lookout(machine.devices) as lookout:
        while True:
            load = await lookout.next()
            sink.put(MachineLoad(agent, **asdict(load), dropped=sink.dropped))


async def prepare_data(
    agent: str, run: RunDir, program: tuple[str, ...], job_says: Mapping[str, str], emit: Emit
) -> Prepared:
    """Without a program there is nothing to prepare."""
    if not program:
        return Prepared()
    told = contract.to_environ(RankEnv(str(run.path), "", agent, ""))
    env = {**contract.inherited_environ(), **job_says, **told}
    log = run.logs / f"prepare_{agent}.log"
    return await prepare(program, env, log, lambda text: emit(Alert("note", text)))
