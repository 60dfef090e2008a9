"""An agent's process: told by its environment what to do, started by a launcher.

Its exit status says how the run ended, for whoever runs it in the foreground; to an engine that
would start it again, whether it should.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import sys
from pathlib import Path

from evener import contract, errors, placement
from evener.agent import revival
from evener.agent.agent import Agent
from evener.agent.child import Programs
from evener.agent.courier import Courier
from evener.agent.hosting import Hosting
from evener.agent.outfit import programs_of
from evener.agent.standin import StandIn
from evener.agent.translate import Left, Over
from evener.config.load import job_from_json
from evener.contract import AgentEnv
from evener.lifeline import die_with_parent, end_on
from evener.placement import Plan
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.wire.outbox import Outbox

log = logging.getLogger("evener.agent")

FORMAT = "%(asctime)s %(message)s"


def main(programs: Programs | None = None) -> int:
    logging.basicConfig(format=FORMAT, level=logging.INFO, stream=sys.stderr)
    end_on(contract.AWAY_SIGNAL, contract.AWAY_STATUS)
    end_on("SIGINT", 0)  # which some shells have us ignore
    faulthandler.enable()  # even a crash of the interpreter leaves its last words in the log
    try:
        return _run(contract.from_environ(AgentEnv), programs)
    except errors.EvenerError as error:
        logging.error("%s", error)
        return error.exit_status


def _run(env: AgentEnv, programs: Programs | None) -> int:
    if env.owned:
        die_with_parent()
    run = RunDir(Path(env.run_dir))
    with contextlib.closing(StandIn(env, run)) as standin:
        return _train(env, programs, run, standin)


def _train(env: AgentEnv, programs: Programs | None, run: RunDir, standin: StandIn) -> int:
    courier = Courier(env, run, aside=standin.address)
    courier.fetch()
    if env.revived:
        _write_down(run.agent_log(env.agent))
    if env.revived and revival.has_ended(run):
        log.info("the run is over: nothing is left to do")
        return 0
    job = job_from_json(run.job_file.read_text(encoding="utf-8"))
    plan = _plan(run)
    if job.script.path:
        courier.follow(job.script.stays)
    place = [a.agent for a in plan.agents].index(env.agent)
    with (
        contextlib.closing(Hosting(env, run, place)) as hosting,
        Outbox(
            env.head, env.secret, env.agent, run.spool(env.agent), aside=standin.address
        ) as outbox,
        contextlib.closing(courier),
    ):
        hosting.watch(outbox)
        standin.watch(outbox, job.script.stays if job.script.path else None)
        courier.watch(outbox.put, outbox.address)
        programs = programs or programs_of(job)
        agent = Agent(env, job, plan, outbox, programs, courier=courier, standin=standin)
        end = asyncio.run(agent.run())
    return _status(end, revived=bool(env.revived))


def _write_down(file: Path) -> None:
    """What an engine keeps of our words goes with the container."""
    with layout.translated(file):
        handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    logging.getLogger().addHandler(handler)


def _status(end: Over | Left, *, revived: bool) -> int:
    """An agent that an engine started again would be refused again, or find the run over; not so
    one whose machine went away."""
    if isinstance(end, Over):
        return 0 if end.error is None or revived else errors.from_dict(end.error).exit_status
    if end.returns:
        return contract.AWAY_STATUS
    if end.error is None:
        return 0
    log.error("%s", end.error)
    return 0 if revived else end.error.exit_status


def _plan(run: RunDir) -> Plan:
    try:
        return placement.from_dict(layout.read_json(run.plan_file))
    except ValueError as error:
        raise errors.StoreDamaged(
            str(error), where=str(run.plan_file), fix="start it as a new run"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
