"""/metrics, read by Prometheus's own parser, and the Grafana dashboard that draws it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import evener
from evener import events
from evener.dashboard import prometheus
from evener.events import Event, Record
from evener.state import EMPTY, RunState, fold
from tests import synthetic_run
from tests.synthetic_run import Script

NOW = 1_700_001_000.0
GPU = {
    "name": "NVIDIA A100", "busy_share": 0.87, "memory_bytes": 3 * 10**9,
    "memory_limit_bytes": 40 * 10**9, "temperature_c": 64.0, "power_w": 171.5,
    "power_limit_w": 300.0,
}  # fmt: skip
LOAD = events.MachineLoad(
    agent="a00", cpu_share=0.5, memory_bytes=4 * 10**9, memory_limit_bytes=16 * 10**9,
    disk_read_bytes_per_s=0.0, disk_write_bytes_per_s=2e6, sent_bytes_per_s=1e5,
    received_bytes_per_s=2e5, temperature_c=51.0, gpus={"GPU-1": GPU}, dropped=3,
)  # fmt: skip
Labels = dict[str, str]


def going(name: str = "demo", *more: Event) -> RunState:
    """A run after its 151st step, without its last rank for now, and with all there can be."""
    told = [r for r in synthetic_run.records(Script(run=name)) if r.time < NOW - 1000 + 17.55]
    step = events.StepCommitted(
        151, 1, 151 * 96, 1.25, 96.0, 96, 1e-3, 0.5, 0.1, 3, {"accuracy": 0.75}
    )
    marks: list[Event] = [step, LOAD, events.Alert("warning", "hot"), *more]
    return fold([*told, *(Record(e, NOW - 10, "x", n) for n, e in enumerate(marks))])


def over() -> RunState:
    return fold(synthetic_run.records(Script(run="over")))


def samples(*states: RunState) -> dict[str, list[tuple[Labels, float]]]:
    """By name, as Prometheus understands them."""
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(prometheus.text(states, NOW)):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def only(found: Iterable[tuple[Labels, float]], **labels: str) -> float:
    [value] = [value for told, value in found if labels.items() <= told.items()]
    return value


def test_prometheus_reads_what_a_run_does() -> None:
    found = samples(going())
    assert only(found["evener_step"], run="demo") == 151
    assert only(found["evener_loss"], run="demo") == 1.25
    assert only(found["evener_metric"], name="accuracy") == 0.75
    assert only(found["evener_run_phase"], phase="training") == 1
    assert only(found["evener_run_phase"], phase="failed") == 0
    assert only(found["evener_run_elapsed_seconds"]) == 1000.0
    assert only(found["evener_rank_share"], rank="1") == 12
    assert only(found["evener_rank_up"], rank="0") == 1
    assert only(found["evener_rank_step_seconds"], rank="0", part="exchange") == pytest.approx(0.02)
    assert only(found["evener_recent_alerts"], level="warning") == 1
    assert only(found["evener_checkpoint_last_step"]) == 150


def test_prometheus_reads_how_machines_fare() -> None:
    found = samples(going())
    of = {"run": "demo", "agent": "a00", "machine": "desk"}
    assert found["evener_machine_cpu_ratio"] == [(of, 0.5)]
    assert found["evener_dropped_events_total"] == [(of, 3)]
    assert found["evener_gpu_power_watts"] == [
        ({**of, "uuid": "GPU-1", "gpu": "NVIDIA A100"}, 171.5)
    ]


def test_a_rank_that_is_gone_takes_nothing() -> None:
    found = samples(going("demo", events.RankLost("a00", 2, "killed")))
    assert only(found["evener_rank_up"], rank="2") == 0
    assert only(found["evener_rank_share"], rank="2") == 0
    assert only(found["evener_rank_losses_total"], rank="2") == 2


def test_what_is_not_known_has_no_sample() -> None:
    assert prometheus.text([], NOW) == ""
    assert prometheus.text([EMPTY], NOW) == ""
    young = fold([Record(synthetic_run.started(Script()), NOW, "x", 1)])
    found = samples(young)
    assert "evener_run_info" in found
    for name in ("loss", "samples_per_second", "machine_cpu_ratio", "checkpoint_last_step"):
        assert f"evener_{name}" not in found
    silent = replace(LOAD, cpu_share=None, gpus={"GPU-1": {"name": "old"}})
    found = samples(going("demo", silent))
    assert "evener_machine_cpu_ratio" not in found
    assert "evener_gpu_busy_ratio" not in found


def test_a_machine_that_has_left_tells_nothing_of_its_load() -> None:
    found = samples(going("demo", events.AgentEnded("a00")))
    assert only(found["evener_machine_up"], agent="a00") == 0
    assert "evener_machine_cpu_ratio" not in found


def test_numbers_that_are_none_are_told_as_prometheus_writes_them() -> None:
    state = going()
    for value, text in ((math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf")):
        told = prometheus.text([replace(state, loss=value)], NOW)
        assert f'evener_loss{{run="demo"}} {text}\n' in told
        assert str(only(samples(replace(state, loss=value))["evener_loss"])) == str(value)


def test_hostile_names_stay_in_their_labels() -> None:
    name = 'a"} 1\nevener_step{run="b\\"\r\u2028'
    found = samples(replace(going(), run=name, metrics={name: 0.5}))
    assert [labels for labels, _ in found["evener_step"]] == [{"run": name}]
    assert found["evener_metric"] == [({"run": name, "name": name}, 0.5)]


def test_several_runs_share_a_family_and_no_sample_is_told_twice() -> None:
    text = prometheus.text([going("one"), going("two"), over()], NOW)
    assert text.count("# TYPE evener_loss gauge\n") == 1
    found = samples(going("one"), going("two"), over())
    assert {labels["run"] for labels, _ in found["evener_loss"]} == {"one", "two", "over"}
    for told in found.values():
        keys = [tuple(sorted(labels.items())) for labels, _ in told]
        assert len(keys) == len(set(keys))


def test_two_of_one_number_are_told_once() -> None:
    """A machine may say one UUID twice; Prometheus would refuse all that is told."""
    state = going()
    [machine] = state.machines
    assert machine.load is not None
    twice = replace(machine.load, gpus=machine.load.gpus * 2)
    found = samples(replace(state, machines=(replace(machine, load=twice),)))
    assert len(found["evener_gpu_power_watts"]) == 1


def test_every_family_is_told_of_some_run_and_says_what_it_is() -> None:
    text = prometheus.text([going(), over()], NOW)
    told = {f.name for f in prometheus.FAMILIES}
    assert set(samples(going(), over())) == told
    assert len(told) == len(prometheus.FAMILIES)
    for family in prometheus.FAMILIES:
        assert f"# HELP {family.name} {family.help}\n" in text
        assert family.help.endswith(".")
        assert family.name.endswith("_total") == (family.kind == "counter")


# ----------------------------------------------------------------------------- grafana


def dashboard() -> dict[str, Any]:
    file = Path(evener.__file__).parent / "dashboard" / "grafana.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def test_the_dashboard_draws_only_what_is_told() -> None:
    told = samples(going(), over())
    variables = [v["definition"] for v in dashboard()["templating"]["list"] if "definition" in v]
    drawn = [target["expr"] for panel in panels() for target in panel["targets"]]
    for expression in (*drawn, *variables):
        names = re.findall(r"evener_\w+", expression)
        assert names
        assert set(names) <= set(told), expression


def test_the_dashboards_legends_and_choices_are_labels() -> None:
    told = samples(going(), over())
    for target in (target for panel in panels() for target in panel["targets"]):
        name = re.findall(r"evener_\w+", target["expr"])[0]
        known = {"instance"}.union(*(labels for labels, _ in told[name]))
        legend = re.findall(r"{{(\w+)}}", target["legendFormat"])
        chosen = re.findall(r"(\w+)=~?\"", target["expr"])
        grouped = re.findall(r"(?:by|on) \(([^)]*)\)", target["expr"])
        used = {*legend, *chosen, *(word.strip() for g in grouped for word in g.split(","))}
        assert used <= known, target["expr"]


def test_the_dashboard_asks_for_its_source_and_runs() -> None:
    variables = {v["name"]: v for v in dashboard()["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["run"]["query"]["query"] == "label_values(evener_step, run)"
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all('run=~"$run"' in target["expr"] for target in panel["targets"])


def test_no_two_panels_lie_on_each_other() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        own = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & own, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= own
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
