"""The training loop: form a group, level the state, take steps until told otherwise, again.

Read this first. Nothing here knows how many machines there are or of what kind. A generation
ends in one of three ways: the run is over (Done), all ranks paused at one boundary so that
somebody may join (None), or the group broke under us (GroupBroken) and the step in flight never
happened. In the last two cases the next generation goes on from the last committed step.
"""

from __future__ import annotations

from evener.data.loader import ahead
from evener.engine import boundary, memory, parking, profile
from evener.engine.acquaint import Roll, acquaint
from evener.engine.balance import Balance
from evener.engine.exchange import open_exchanges
from evener.engine.knowledge import knowledge_from
from evener.engine.level import level
from evener.engine.muster import Muster
from evener.engine.pieces import describe
from evener.engine.round import Round
from evener.engine.step import forward
from evener.engine.task import Work, drive
from evener.engine.training import Training
from evener.events import Alert, GenerationFormed
from evener.membership.generation import Generation
from evener.orders import Broken, Done, Formed
from evener.placement import BENCH
from evener.rank.group import Group, GroupBroken, form


def run(training: Training) -> Done:
    """Train the job's own task, from the first generation to the last."""
    return drive(work(training), lambda piece: forward(training.worker, piece))


def work(training: Training) -> Work[Done]:
    """Generation after generation, until the run is over. Every piece is asked of the driver."""
    while True:
        generation = parking.await_work(training)
        if generation is None:
            return Done("stopped", training.worker.progress.step)
        try:
            done = yield from _generation(training, generation)
        except GroupBroken as broken:
            training.link.say(Broken(generation.ballot, str(broken)))
            continue
        except memory.FAILURES as error:
            if not memory.is_full(error):
                raise
            memory.halve(training, error)
            training.link.say(Broken(generation.ballot, "out of memory: in smaller pieces again"))
            continue
        if done is not None:
            return done


def _generation(training: Training, generation: Generation) -> Work[Done | None]:
    index = [m.rank for m in generation.members].index(training.rank)
    timeout_s = training.job.membership.form_s
    link, port = training.link, training.store_port
    group = form(generation, index, port, timeout_s, link.on_break, link.pulse)
    try:
        if training.purpose == BENCH:
            return profile.measure(training, group)
        if level(training, group, lambda: boundary.restore(training)):
            training.reporter.repeat()
        _announce(training, group)
        roll = acquaint(training, group, knowledge_from(training.worker.progress.balance))
        own = roll.known.speeds.get(training.rank)
        training.reporter.begin(_ranks(group), group.index == 0, own)
        muster = Muster(training.job.train.global_batch, _ranks(group), roll.known)
        if partings := muster.at_start() if training.job.balance.parks else []:
            parking.park(training, group, roll.known, partings)
            return None
        balance = _open_balance(training, group, roll)
        with open_exchanges(group, [m.parameters for m in training.worker.moving]) as exchanges:
            return (yield from Round(training, group, exchanges, balance, muster).steps())
    finally:
        group.close()


def _ranks(group: Group) -> tuple[int, ...]:
    return tuple(m.rank for m in group.generation.members)


def _announce(training: Training, group: Group) -> None:
    """Tell the agent that we stand; as the lead, tell everybody who trains now."""
    step, generation = training.worker.progress.step, group.generation
    training.link.say(Formed(generation.ballot, step))
    ranks = tuple(m.rank for m in generation.members)
    if group.index == 0:
        number, per_epoch = generation.ballot.number, training.order.steps_per_epoch
        of_step = training.job.train.global_batch
        training.reporter.emit(
            GenerationFormed(
                number, ranks, step, training.rank, training.total_steps, per_epoch, of_step
            )
        )
        if training.worker.normed:
            _say_once(training, describe(training.cutting(group.size)))


def _say_once(training: Training, text: str) -> None:
    if text not in training.said:
        training.said.add(text)
        training.reporter.emit(Alert("note", text))


def _open_balance(training: Training, group: Group, roll: Roll) -> Balance:
    balance = Balance(
        config=training.job.balance,
        global_batch=training.job.train.global_batch,
        ahead=ahead(training.job.data),
        ranks=_ranks(group),
        known=roll.known,
        limits=roll.limits,
        guesses=() if training.rehearses else roll.guesses,
    )
    balance.begin(training.worker.progress.step)
    training.worker.progress.balance = roll.known.to_dict()
    return balance
