"""Machines that join a Swarm's run without its image get it together, or are told why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.placement.test_placement import job

from evener import placement
from evener.config.load import job_to_json
from evener.docker import Engine
from evener.docker.swarm import Task
from evener.launch import services
from evener.launch.swarm import SwarmLauncher
from evener.placement import Place, plan_swarm
from evener.rundir import layout
from evener.rundir.layout import RunDir

NAMES = ("oak", "elm", "ash")


@dataclass(frozen=True, slots=True)
class _Manager(Engine):
    """Of a Swarm in which elm's disk is full: its fetchers end in vain, the others well."""

    called: list[tuple[str, ...]] = field(default_factory=list)

    def call(self, *arguments: str, timeout_s: float = 0.0) -> str:
        self.called.append(arguments)
        return ""

    def ask(self, *arguments: str, short: bool = False) -> list[dict[str, str]]:
        if arguments[:2] != ("service", "ps"):
            return []
        return [self._ended(name) for name in arguments[2:]]

    def last_words(self, container: str, lines: int) -> list[str]:
        return []

    def _ended(self, service: str) -> dict[str, str]:
        node = self.fetchers()[service]
        told = ("Failed", "no space left") if node == "elm" else ("Complete", "")
        return {"Name": f"{service}.1", "Node": node, "CurrentState": told[0], "Error": told[1]}

    def fetchers(self) -> dict[str, str]:
        """By service, the machine it was made for last."""
        made = (words for words in self.called if words[:2] == ("service", "create"))
        return {next(w[7:] for w in words if w.startswith("--name=")): words[-1] for words in made}


def test_all_get_it_at_once_and_one_that_cannot_take_it_hinders_no_other(tmp_path: Path) -> None:
    run, manager = RunDir(tmp_path), _Manager()
    run.configs.mkdir()
    plan = plan_swarm(job(), [Place(f"id-{name}", name, 4) for name in NAMES])
    layout.write_json(run.plan_file, placement.to_dict(plan))
    layout.write_atomic(run.job_file, job_to_json(job()))
    lacking = [
        Task(services.name_of(run, name), name, "Rejected", "No such image: x") for name in NAMES
    ]
    SwarmLauncher(engine=manager)._supply(run, "x", lacking)
    made = [words[-1] for words in manager.called if words[:2] == ("service", "create")]
    assert made == ["ash", "elm", "oak", "ash", "oak"]
    updated = [words[-1] for words in manager.called if words[:2] == ("service", "update")]
    assert updated == [lacking[0].service, lacking[2].service]
