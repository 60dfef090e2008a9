"""A rank's process: call the agent, wait to be given a number, build, train, end.

Until `Take` comes this is a warm standby: torch is imported, nothing else. An error that
a person should read goes to the agent, which ends the run with it; its traceback goes to the log.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from evener import contract, versions
from evener.config.load import job_from_json
from evener.config.schema import Job
from evener.contract import RankEnv
from evener.data.order import Order
from evener.data.sources import open_data
from evener.engine import cause
from evener.engine.keeper import Keeper
from evener.engine.loop import run as run_generations
from evener.engine.optimizer import learning_rate
from evener.engine.report import Reporter
from evener.engine.seat import Seat
from evener.engine.task import build_task
from evener.engine.training import Training
from evener.engine.worker import build_worker
from evener.errors import EvenerError
from evener.events import Alert, RankBuilt
from evener.lifeline import die_with_parent
from evener.models import build_model
from evener.orders import Built, Failed, Hello, Take
from evener.rank import vitals
from evener.rank.device import open_device
from evener.rank.group import StoreHost
from evener.rank.link import Link
from evener.rundir import measured
from evener.rundir.layout import RunDir
from evener.rundir.ledger import Ledger
from evener.versions import Versions
from evener.wire.frames import split_address
from evener.wire.line import Line

log = logging.getLogger("evener.rank")
HANDSHAKE_S = 30.0


def main() -> None:
    die_with_parent()
    environment = contract.from_environ(RankEnv)
    assert isinstance(environment, RankEnv)
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, stream=sys.stderr)
    faulthandler.enable()
    if sys.platform != "win32":
        faulthandler.register(getattr(signal, contract.STACK_SIGNAL))
    own = versions.greeting(Versions(versions.EVENER, str(torch.__version__)))
    hello = {"role": "rank", "agent": environment.agent, **own}
    line = Line.connect(environment.agent_address, environment.secret, hello, HANDSHAKE_S)
    link = Link(line)
    store = StoreHost(split_address(environment.agent_address)[0])
    link.say(Hello(os.getpid(), store.port))
    run = RunDir(Path(environment.run_dir))
    failure = _guarded(lambda: _work(link, store.port, run))
    if failure is not None:
        link.say(Failed(failure.to_dict()))
    link.close()
    # Threads of torch may outlive the interpreter's patience; everything of ours is flushed.
    logging.shutdown()
    os._exit(0 if failure is None else failure.exit_status)


def _work(link: Link, store_port: int, run: RunDir) -> None:
    """The job's own task, once there is a number; its script at once, up to where it trains."""

    def numbered(take: Take) -> None:
        _own_log(run.rank_log(take.rank))

    job = job_from_json(run.job_file.read_text(encoding="utf-8"))
    if job.is_own_loop:
        Seat(job, link, store_port, run, numbered).run_script()
        return
    take = link.await_take()
    numbered(take)
    _train(link, store_port, run, take, job)


def _train(link: Link, store_port: int, run: RunDir, take: Take, job: Job) -> None:
    reporter = Reporter(take.rank, take.life, job.log.every_s, link.say)
    training = build(job, take, link, store_port, run, reporter)
    reporter.emit(
        RankBuilt(
            rank=take.rank,
            device=take.device,
            threads=take.threads,
            parameters=sum(p.numel() for p in training.worker.parameters),
        )
    )
    reporter.flush(training.worker.progress.step)
    link.say(Built(take.rank, take.device))
    with vitals.of_this_process(take.device) as reader:
        reporter.look = reader.look
        done = run_generations(training)
        training.keeper.wait()
        training.ledger.close()
        reporter.flush(done.step)
    link.say(done)


def build(
    job: Job, take: Take, link: Link, store_port: int, run: RunDir, reporter: Reporter
) -> Training:
    """Data, model and optimizer of one rank, with the weights every rank would draw."""
    device = open_device(take.device, take.threads)
    data = open_data(job)
    torch.manual_seed(job.train.seed)
    model = build_model(
        job.model, data.shape, note=lambda text: reporter.emit(Alert("note", text, take.rank))
    )
    task = build_task(job.train, data.shape)
    order = Order(len(data.train), job.train.global_batch, job.train.seed)
    total_steps = job.train.steps or (job.train.epochs or 0) * order.steps_per_epoch

    def rate(step: int) -> float:
        return learning_rate(job.train, step, total_steps)

    return Training(
        job=job,
        rank=take.rank,
        link=link,
        store_port=store_port,
        worker=build_worker(job, model, task, device, rate),
        data=data,
        order=order,
        total_steps=total_steps,
        reporter=reporter,
        keeper=Keeper(run, job.checkpoint, reporter.emit),
        ledger=Ledger(
            run.ledger(take.rank),
            lambda text: reporter.emit(Alert("warning", text, take.rank)),
        ),
        part=take.part,
        purpose=take.purpose,
        profiled=measured.speeds_of(run),
    )


def _guarded(work: Callable[[], Any]) -> EvenerError | None:
    """Run `work`; what went wrong as an error to read, its traceback in the log."""
    try:
        work()
    except EvenerError as error:
        log.error("%s", error)
        return cause.of(error)
    except Exception as error:  # noqa: BLE001  (the top of a process: everything is reported)
        traceback.print_exc()
        return cause.of(error)
    return None


def _own_log(path: Path) -> None:
    """From here on what this process prints is the rank's, not the standby's."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(fd, stream.fileno())
    os.close(fd)


if __name__ == "__main__":
    main()
