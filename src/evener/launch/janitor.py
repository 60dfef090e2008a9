"""`python -m evener.launch.janitor RUN`: outlives the terminal, and removes a run's containers.

Containers cannot remove themselves: they must not speak to Docker. So whoever starts them leaves
this behind, which goes when nothing of the run is left. Should it be killed, the next start of
the run or `evener stop` does its work.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from evener import errors
from evener.launch.docker import DockerLauncher
from evener.rundir.layout import RunDir

LOOK_S = 2.0
CALM = 2  # looks at which nothing lives: a container that is started again does not either


def main(run: RunDir) -> None:
    launcher = DockerLauncher()
    calm = 0
    while calm < CALM and run.path.is_dir():
        time.sleep(LOOK_S)
        # An engine that is away, because it restarts, says nothing about the run.
        with contextlib.suppress(errors.MachineError):
            calm = 0 if launcher.alive(run) else calm + 1
    with contextlib.suppress(errors.EvenerError):
        launcher.clean(run)


if __name__ == "__main__":
    main(RunDir(Path(sys.argv[1])))
