"""What agents tell of their machines, made fit to be shown whatever it is."""

from __future__ import annotations

from typing import Any

from evener import events
from evener.state.bounds import GPUS, METRICS, cut, known, listed, number
from evener.state.views import GpuView, LoadView, MachineView


def seen(event: events.MachineSeen) -> MachineView:
    facts = event.machine
    devices = [d for d in listed(facts.get("devices")) if isinstance(d, dict)]
    return MachineView(
        agent=event.agent,
        name=cut(str(facts.get("name", ""))),
        system=cut(str(facts.get("system", ""))),
        cpus=number(facts.get("cpus")),
        cpu_name=cut(str(facts.get("cpu_name", ""))),
        memory_bytes=int(number(facts.get("memory_bytes"))),
        devices=tuple(cut(str(d.get("name") or d.get("kind"))) for d in devices[:METRICS]),
    )


def load(event: events.MachineLoad, time: float) -> LoadView:
    gpus = [(uuid, facts) for uuid, facts in event.gpus.items() if isinstance(facts, dict)]
    return LoadView(
        time=time,
        cpu_share=event.cpu_share,
        memory_bytes=event.memory_bytes,
        memory_limit_bytes=event.memory_limit_bytes,
        disk_read_bytes_per_s=event.disk_read_bytes_per_s,
        disk_write_bytes_per_s=event.disk_write_bytes_per_s,
        sent_bytes_per_s=event.sent_bytes_per_s,
        received_bytes_per_s=event.received_bytes_per_s,
        temperature_c=event.temperature_c,
        gpus=tuple(_gpu(uuid, facts) for uuid, facts in gpus[:GPUS]),
        dropped=event.dropped,
    )


def _gpu(uuid: str, facts: dict[str, Any]) -> GpuView:
    return GpuView(
        uuid=cut(uuid),
        name=cut(str(facts.get("name", ""))),
        busy_share=known(facts.get("busy_share")),
        memory_bytes=known(facts.get("memory_bytes")),
        memory_limit_bytes=known(facts.get("memory_limit_bytes")),
        temperature_c=known(facts.get("temperature_c")),
        power_w=known(facts.get("power_w")),
        power_limit_w=known(facts.get("power_limit_w")),
    )
