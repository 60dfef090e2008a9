"""`python -m evener.launch.janitor RUN`: outlives the terminal, and removes a run's containers.

Containers cannot remove themselves: they must not speak to Docker. So whoever starts them leaves
this behind, which goes when nothing of the run is left. Should it be killed, the next start of
the run or `evener stop` does its work. On a Swarm it also opens the door to machines that join.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from evener import errors
from evener.launch.docker import DockerLauncher, among
from evener.launch.places import launcher_of
from evener.rundir.layout import RunDir

LOOK_S = 2.0
CALM = 2  # looks at which nothing lives: a container that is started again does not either
AWAY = 300  # looks at which no engine answers: one that restarts is back long before


def main(run: RunDir) -> None:
    """Only what is there now is removed: a resumed run has containers and a janitor of its own."""
    launcher = launcher_of(run)
    assert isinstance(launcher, DockerLauncher)
    with contextlib.suppress(errors.MachineError):
        own = launcher.left(run)
        calm = away = 0
        while calm < CALM and away < AWAY:
            time.sleep(LOOK_S)
            try:
                if not among(launcher.left(run), own):
                    return  # whoever stopped the run was faster
                alive = launcher.living(run) & set(own.get("container", ()))
                calm, away = 0 if alive else calm + 1, 0
                if alive:
                    launcher.attend(run, alive)
            except errors.MachineError:  # an engine that is away says nothing about the run
                away += 1
        launcher.clean(run, own)


if __name__ == "__main__":
    main(RunDir(Path(sys.argv[1])))
