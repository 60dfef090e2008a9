"""`python -m evener.agent.adoption`: fetches into an empty folder what a run's new home must have.

For a run whose home is gone with its machine: what was decided, the newest checkpoint, and the
secret, from whoever stands in. It is told what an agent is told, and trains nothing.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from dataclasses import replace
from pathlib import Path

from evener import contract, errors
from evener.agent.courier import Courier
from evener.agent.standin import StandIn
from evener.contract import AgentEnv
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.wire.porter import Porter

PATIENCE_S = 40.0
PRIVATE = 0o600


def main() -> int:
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        adopt(contract.from_environ(AgentEnv))
    except errors.EvenerError as error:
        logging.error("%s", error)
        return error.exit_status
    return 0


def adopt(env: AgentEnv) -> None:
    """Raises RunActive where its home answers, StartFailed where nobody does."""
    with contextlib.suppress(OSError), contextlib.closing(Porter(env.head, env.secret)) as porter:
        porter.home()
        raise errors.RunActive(
            "the run has a home, and its head answers",
            where=env.head,
            fix="look at the run on the machine where it was started",
        )
    run = RunDir(Path(env.run_dir))
    with contextlib.closing(StandIn(env, run)) as standin:
        Courier(replace(env, head=standin.address), run, PATIENCE_S).fetch()
    layout.write_atomic(run.secret_file, env.secret + "\n", PRIVATE)


if __name__ == "__main__":
    sys.exit(main())
