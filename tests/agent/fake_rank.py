"""A rank without torch: obeys orders as a real one does and counts steps instead of training.

What it is to do wrong, and in which rank, is in FAKE_RANK: "how" or "how:rank". The ranks in
FAKE_PARK ("1,2") are parked after some steps, once in a life, and are back when they or the others
think so, as FAKE_BACK says: "self" or "others".
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from typing import Any, NoReturn

from evener import contract, events, orders, versions
from evener.contract import RankEnv
from evener.events import CheckpointWritten, GenerationFormed, Record, StepCommitted
from evener.lifeline import die_with_parent
from evener.membership import Generation
from evener.orders import (
    Built,
    Done,
    Failed,
    Form,
    Formed,
    Halt,
    Halted,
    Hello,
    Parked,
    Progress,
    Recall,
    Report,
    Save,
    Take,
    Unparked,
    Wind,
)
from evener.wire.line import Line

STEPS = int(os.environ.get("FAKE_STEPS", "100000"))
STEP_S = 0.01
PARK_AT, RECALL_AT, BACK_S = 5, 80, 0.5
PARK = [int(rank) for rank in os.environ.get("FAKE_PARK", "").split(",") if rank]
BACK = os.environ.get("FAKE_BACK", "")
HOW, _, WHO = os.environ.get("FAKE_RANK", "").partition(":")


class FakeRank:
    """The main thread counts; a thread of its own obeys, as in the real one."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.step = -1
        self.halt: Halt | None = None
        self.wind = False
        self.parked = False  # now, or once
        self.standing = True
        self.lock = threading.Lock()
        self.takes: queue.Queue[Take] = queue.Queue()
        self.forms: queue.Queue[Generation | None] = queue.Queue()
        self.numbers = iter(range(1, 10**9))
        threading.Thread(target=self.listen, daemon=True).start()

    def say(self, order: orders.Order) -> None:
        self.line.send(orders.to_dict(order))

    def listen(self) -> None:
        while (frame := self.line.receive()) is not None:
            order = orders.from_dict(frame)
            with self.lock:
                self.obey(order)
        if HOW != "hang-up":
            os._exit(75)

    def obey(self, order: orders.Order) -> None:
        match order:
            case Take():
                self.takes.put(order)
            case Halt():
                self.halt = order
                if self.standing:
                    self.say(Halted(order.ballot, self.step))
            case Form(generation):
                self.halt = None
                self.standing = False
                self.forms.put(generation)
            case Save():
                where = f"by rank {self.take.rank}"
                self.report(CheckpointWritten(self.step, where, 1, 0.1, False, None))
            case Wind():
                self.wind = True
                if self.standing and self.step < 0:
                    self.forms.put(None)

    def run(self) -> None:
        self.say(Hello(os.getpid(), 1))
        self.take = self.takes.get()
        self.misbehave("take")
        self.say(Built(self.take.rank, "cpu"))
        while True:
            generation = self.await_form()
            done = Done("stopped", 0) if generation is None else self.train(generation)
            if done is not None:
                self.misbehave("linger")
                self.say(done)
                self.line.flush(5.0)
                return
            assert generation is not None
            with self.lock:
                self.stand(generation)

    def stand(self, generation: Generation) -> None:
        self.standing = True
        if self.halt is None:
            self.parked, self.step = True, -1
            self.say(Parked(generation.ballot))
            if self.wind:
                self.forms.put(None)
        else:
            self.say(Halted(self.halt.ballot, self.step))

    def await_form(self) -> Generation | None:
        try:
            return self.forms.get(timeout=BACK_S if self.parked and BACK == "self" else None)
        except queue.Empty:
            self.say(Unparked())
            return self.forms.get()

    def train(self, generation: Generation) -> Done | None:
        self.step = max(self.step, generation.step, 0)
        lead = generation.members[0].rank
        self.say(Formed(generation.ballot, self.step))
        if lead == self.take.rank:
            ranks = tuple(m.rank for m in generation.members)
            number = generation.ballot.number
            self.report(GenerationFormed(number, ranks, self.step, lead, STEPS, STEPS))
        while True:
            if self.step >= STEPS or self.wind:
                return Done("finished" if self.step >= STEPS else "stopped", self.step)
            if self.halt is not None:
                return None
            if self.step >= PARK_AT and self.take.rank in PARK and not self.parked:
                return None
            if self.step >= RECALL_AT and BACK == "others" and lead == self.take.rank:
                self.say(Recall(tuple(PARK)))
            time.sleep(STEP_S)
            self.step += 1
            self.misbehave("step")
            self.say(Progress(self.step))
            if lead == self.take.rank:
                self.report(StepCommitted(self.step, 0, self.step, 1.0, 1, 1, 0.1, None, STEP_S, 1))

    def report(self, event: events.Event) -> None:
        source = f"r{self.take.rank}.{self.take.life}"
        record = Record(event, time.time(), source, next(self.numbers))
        self.say(Report((events.to_dict(record),)))

    def misbehave(self, when: str) -> None:
        if WHO and int(WHO) != self.take.rank:
            return
        match (when, HOW):
            case ("take", "die-at-take"):
                die()
            case ("take", "fail"):
                self.fail({"code": "E303", "what": "your code raised", "where": "x.py:1"})
            case ("take", "unfit-again") if self.take.life > 0:
                self.fail({"code": "E509", "what": "3 here, and 4 there", "fix": "mend it"})
            case ("step", "unfit-again") if self.step == 5:
                die()
            case ("step", "die-each-step"):
                die()
            case ("take", "lose-gpu") if self.take.life > 0:
                self.fail({"code": "E503", "what": "the device 'cuda:0' is not on this machine"})
            case ("step", "lose-gpu") if self.step == 5:
                self.fail({"code": "E508", "what": "CUDA error: unspecified launch failure"})
            case ("step", "fail-once") if self.step == 5 and self.take.life == 0:
                self.fail({"code": "E303", "what": "your code raised", "where": "x.py:1"})
            case ("step", "fail-from-5") if self.step >= 5:
                self.fail({"code": "E303", "what": "your code raised", "where": "x.py:1"})
            case ("step", "exit") if self.step == 5 and self.take.life == 0:
                sys.stderr.write("the last words\n")
                os._exit(3)
            case ("step", "freeze") if self.step == 5 and self.take.life == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
            case ("step", "hang-up") if self.step == 5 and self.take.life == 0:
                self.line.close()
                time.sleep(600)
            case ("linger", "linger"):
                time.sleep(0.5)

    def fail(self, error: dict[str, Any]) -> NoReturn:
        self.say(Failed(error))
        self.line.flush(5.0)
        os._exit(4)


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)
    raise AssertionError


def main() -> None:
    die_with_parent()
    if HOW == "no-import":
        sys.exit("ModuleNotFoundError: No module named 'torch'")
    env = contract.from_environ(RankEnv)
    own = versions.greeting(versions.installed())
    hello = {"role": "rank", "agent": env.agent, **own}
    with Line.connect(env.agent_address, env.secret, hello, 10.0) as line:
        FakeRank(line).run()
        os._exit(0)


main()
