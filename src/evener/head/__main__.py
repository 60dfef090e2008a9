"""`python -m evener.head`: the head of one run, as its environment says."""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
from pathlib import Path

from evener import contract, errors
from evener.contract import HeadEnv
from evener.head import server
from evener.head.aside import step_aside
from evener.head.exhibit import Exhibit
from evener.head.keeper import Keeper
from evener.lifeline import die_with_parent, end_on
from evener.rundir.layout import RunDir
from evener.rundir.recover import recover
from evener.rundir.store import Store

log = logging.getLogger("evener.head")


SWITCH_S = 0.0001  # who takes an event in lets go of Python at every row, and wants it back soon
# A look at all that lives stops everybody for a tenth of a second, and finds nothing: events, and
# the state made of them, hold no cycles. What does (errors, tasks) dies young.
RUBBISH = (10_000, 20, 1_000)


def main() -> int:
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*RUBBISH)
    end_on(contract.AWAY_SIGNAL, contract.AWAY_STATUS)
    env = contract.from_environ(HeadEnv)
    if env.of_agent:
        die_with_parent()
    run = RunDir(Path(env.run_dir))
    run.create()
    logging.basicConfig(
        filename=run.head_log,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        away = _keep(run, env)
    except errors.EvenerError as error:
        log.error("%s", error)
        return error.exit_status
    log.info("the head has ended")
    return contract.AWAY_STATUS if away else 0


def _keep(run: RunDir, env: HeadEnv) -> bool:
    """Whether it ended only because its machine goes away."""
    with (
        server.listening_socket(env) as listening,
        Store.open(run.db, write=True) as store,
        Store.open(run.db, write=False) as reader,
    ):
        recovered = recover(run)
        host, port = listening.getsockname()[:2]
        log.info("listening on %s:%s; %d events recovered", host, port, recovered)
        with contextlib.closing(Keeper(run, store, reader)) as keeper:
            keeper.run_ended = keeper.run_has_ended()  # whoever comes yet comes to hear that
            head = server.Head(keeper, Exhibit(run, keeper, reader), env)
            gc.freeze()
            step_aside()
            server.run(head, listening)
            return head.away


if __name__ == "__main__":
    sys.exit(main())
