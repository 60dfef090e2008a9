"""Machines that join a Swarm's run without its image get it together, or are told why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.placement.test_placement import job

from evener import errors, placement
from evener.config.load import job_to_json
from evener.docker import Engine
from evener.docker.swarm import Task
from evener.launch import ferries, services
from evener.launch.swarm import SwarmLauncher
from evener.placement import Place, plan_swarm
from evener.rundir import layout
from evener.rundir.layout import RunDir

NAMES = ("oak", "elm", "ash")


@dataclass(frozen=True, slots=True)
class _Engine(Engine):
    called: list[tuple[str, ...]] = field(default_factory=list)

    def call(self, *arguments: str, timeout_s: float = 0.0) -> str:
        self.called.append(arguments)
        return ""

    def ask(self, *arguments: str, short: bool = False) -> list[dict[str, str]]:
        return []


def test_all_get_it_at_once_and_one_that_cannot_take_it_hinders_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, engine = RunDir(tmp_path), _Engine()
    run.configs.mkdir()
    plan = plan_swarm(job(), [Place(name, name, 4) for name in NAMES])
    layout.write_json(run.plan_file, placement.to_dict(plan))
    layout.write_atomic(run.job_file, job_to_json(job()))
    brought: list[set[str]] = []

    def bring(engine: Engine, freight: object, machines: Mapping[str, str], note: object) -> None:
        brought.append({*machines})
        if "elm" in machines:
            raise errors.ImageMissing("its disk is full", where="elm", fix="free some space")

    monkeypatch.setattr(ferries, "bring", bring)
    lacking = [
        Task(services.name_of(run, name), name, "Rejected", "No such image: x") for name in NAMES
    ]
    SwarmLauncher(engine=engine)._supply(run, "x", lacking)
    assert brought == [{*NAMES}, {"oak", "ash"}]
    updated = [words[-1] for words in engine.called if words[:2] == ("service", "update")]
    assert updated == [lacking[0].service, lacking[2].service]
