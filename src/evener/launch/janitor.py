"""`python -m evener.launch.janitor RUN`: outlives the terminal, and looks after a run to its end.

Containers cannot remove themselves: they must not speak to Docker. So whoever starts them leaves
this behind, which goes when nothing of the run is left. Should it be killed, the next start of
the run or `evener stop` does its work. On a Swarm and in a pool it also opens the door to machines
that join, and in a pool it keeps the head alive.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from evener import contract
from evener.rundir.layout import RunDir


def leave(run: RunDir) -> None:
    """Behind, though this terminal may be gone by the time it has to act."""
    with (run.logs / "janitor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "evener.launch.janitor", str(run.path.resolve())],
            env=contract.inherited_environ(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def main(run: RunDir) -> None:
    # They leave us behind, and so import us.
    from evener.launch.docker import DockerLauncher
    from evener.launch.places import launcher_of
    from evener.launch.pool import PoolLauncher

    launcher = launcher_of(run)
    assert isinstance(launcher, DockerLauncher | PoolLauncher)
    launcher.look_after(run)


if __name__ == "__main__":
    main(RunDir(Path(sys.argv[1])))
