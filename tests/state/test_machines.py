"""How machines fare, as shown: the last look of each, whatever an agent says of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from evener import state
from evener.events import AgentEnded, Event, MachineLoad, MachineSeen, Record
from evener.state import EMPTY, GpuView, LoadView, MachineView, RunState, bounds, fold

GPU = {
    "name": "NVIDIA A100", "busy_share": 0.87, "memory_bytes": 3 * 10**9,
    "memory_limit_bytes": 40 * 10**9, "temperature_c": 64.0, "power_w": 171.3,
    "power_limit_w": 300.0,
}  # fmt: skip
LOAD = MachineLoad(
    agent="a00", cpu_share=0.5, memory_bytes=4 * 10**9, memory_limit_bytes=16 * 10**9,
    disk_read_bytes_per_s=0.0, disk_write_bytes_per_s=2e6, sent_bytes_per_s=1e5,
    received_bytes_per_s=2e5, temperature_c=None, gpus={"GPU-1": GPU}, dropped=3,
)  # fmt: skip


def after(*told: tuple[float, Event], start: RunState = EMPTY) -> RunState:
    return fold((Record(e, time, "t", n) for n, (time, e) in enumerate(told)), start)


def machine(shown: RunState, agent: str = "a00") -> MachineView:
    return next(m for m in shown.machines if m.agent == agent)


def load(shown: RunState, agent: str = "a00") -> LoadView:
    found = machine(shown, agent).load
    assert found is not None
    return found


def test_a_look_is_shown_with_all_that_it_tells() -> None:
    shown = after((10.0, MachineSeen("a00", {"name": "desk"})), (11.0, LOAD))
    assert machine(shown).name == "desk"
    assert load(shown) == LoadView(
        time=11.0, cpu_share=0.5, memory_bytes=4 * 10**9, memory_limit_bytes=16 * 10**9,
        disk_read_bytes_per_s=0.0, disk_write_bytes_per_s=2e6, sent_bytes_per_s=1e5,
        received_bytes_per_s=2e5, temperature_c=None, dropped=3,
        gpus=(GpuView("GPU-1", "NVIDIA A100", 0.87, 3 * 10**9, 40 * 10**9, 64.0, 171.3, 300.0),),
    )  # fmt: skip


def test_the_last_look_of_each_machine_is_shown() -> None:
    later = replace(LOAD, cpu_share=0.9, gpus={})
    other = replace(LOAD, agent="a01", cpu_share=0.1)
    shown = after((11.0, LOAD), (12.0, other), (13.0, later))
    assert (load(shown).cpu_share, load(shown).gpus) == (0.9, ())
    assert load(shown, "a01").cpu_share == 0.1


def test_what_comes_late_from_a_spool_changes_nothing() -> None:
    shown = after((13.0, LOAD), (11.0, replace(LOAD, cpu_share=0.9)))
    assert load(shown).cpu_share == 0.5


def test_an_agent_that_has_ended_stays_so_and_one_that_starts_again_is_looked_at_anew() -> None:
    shown = after((11.0, LOAD), (12.0, AgentEnded("a00")), (12.1, LOAD))
    assert machine(shown).ended
    again = after((20.0, MachineSeen("a00", {})), start=shown)
    assert (machine(again).ended, machine(again).load) == (False, None)


@pytest.mark.parametrize(
    "gpus",
    [
        {"": None, "a": [], "b": "busy", "c": 1},
        {"a": {"busy_share": "much", "power_w": [1], "memory_bytes": {}, "name": None}},
        {"a": {"busy_share": math.inf, "power_w": math.nan, "temperature_c": 10**30}},
        {"a": {}},
    ],
)
def test_nonsense_about_gpus_is_no_figure(gpus: dict[str, Any]) -> None:
    shown = after((11.0, replace(LOAD, gpus=gpus)))
    for gpu in load(shown).gpus:
        assert (gpu.busy_share, gpu.power_w, gpu.temperature_c, gpu.memory_bytes) == (None,) * 4
    json.dumps(state.to_dict(shown), allow_nan=False)


def test_gpus_are_as_many_as_a_machine_has_and_their_names_end() -> None:
    many = {f"GPU-{n}" + "x" * 9000: {"name": "y" * 9000} for n in range(100)}
    gpus = load(after((11.0, replace(LOAD, gpus=many)))).gpus
    assert len(gpus) == bounds.GPUS
    assert all(len(g.uuid) + len(g.name) <= 2 * bounds.TEXT_CHARACTERS + 2 for g in gpus)
    assert gpus[0].uuid.startswith("GPU-0")


def test_a_page_reads_the_look_as_json() -> None:
    told = json.loads(json.dumps(state.to_dict(after((11.0, LOAD))), allow_nan=False))
    shown = told["machines"][0]["load"]
    assert shown["gpus"] == [{"uuid": "GPU-1"} | GPU]
    assert (shown["cpu_share"], shown["temperature_c"], shown["dropped"]) == (0.5, None, 3)
    assert state.to_dict(after((11.0, MachineSeen("a00", {}))))["machines"][0]["load"] is None


def test_what_is_no_number_is_shown_as_none() -> None:
    shown = after((11.0, replace(LOAD, cpu_share=math.nan)))
    assert state.to_dict(shown)["machines"][0]["load"]["cpu_share"] is None
