"""The launcher for each kind of place, and the one that started a given run."""

from __future__ import annotations

from evener import errors, placement
from evener.launch.base import Launcher
from evener.launch.docker import DockerLauncher
from evener.launch.local import LocalLauncher
from evener.launch.project import PLACE as COMPOSE
from evener.launch.project import ComposeLauncher
from evener.placement import DOCKER
from evener.rundir import layout
from evener.rundir.layout import RunDir


def launcher_of(run: RunDir) -> Launcher:
    """Who stops `run` and says whether it is alive: by the plan of its last start."""
    try:
        place = placement.from_dict(layout.read_json(run.plan_file)).place
    except (errors.StoreDamaged, ValueError):
        return LocalLauncher()  # it never came to a start
    if place == COMPOSE:
        return ComposeLauncher()
    return DockerLauncher() if place == DOCKER else LocalLauncher()
