"""A rank's line to its agent: orders come in on a thread of their own, answers go out unhindered.

The one rule that keeps membership fast: a rank that stands still answers a `Halt` at once, on
this thread; a rank that trains answers when it has come to stand, and an urgent `Halt` first
breaks the group under it. A rank whose agent is gone has nobody to work for and ends.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable

from evener import orders
from evener.membership.generation import Ballot, Generation
from evener.orders import Form, Halt, Halted, Order, Parked, Save, Take, Unparked, Wind
from evener.rank.pulse import Pulse
from evener.wire.line import Line

log = logging.getLogger("evener.rank")
AGENT_GONE_EXIT = 75
PULSE_S = 1.0


class Link:
    """What the training loop asks of its agent, and what it is asked."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._takes: queue.SimpleQueue[Take] = queue.SimpleQueue()
        self._forms: queue.SimpleQueue[Generation | None] = queue.SimpleQueue()
        self._halt: Halt | None = None
        self._standing_at: int | None = -1
        self._formed = Ballot(0, "")  # the last generation it was told to form
        self._break: Callable[[], None] | None = None
        self._wind: str | None = None
        self._save = False
        self._closing = threading.Event()
        self.pulse = Pulse()
        threading.Thread(target=self._tell_pulse, name="pulse", daemon=True).start()
        threading.Thread(target=self._listen, name="orders", daemon=True).start()

    # ------------------------------------------------------------- asked by the main thread

    def say(self, order: Order) -> None:
        self._line.send(orders.to_dict(order))

    def await_take(self) -> Take:
        return self._takes.get()

    def await_form(self, step: int, patience_s: float | None = None) -> Generation | None:
        """Stand at `step` until the next generation; None when told to stop while standing.

        Raises TimeoutError where no order comes within `patience_s`: the rank goes on standing,
        and an order that comes meanwhile is there at the next call.
        """
        with self._lock:
            self._stand(step)
        try:
            return self._forms.get(timeout=patience_s)
        except queue.Empty:
            raise TimeoutError(f"no generation within {patience_s} s") from None

    def stand_aside(self) -> None:
        """Parked from here on: having left its group and given up its state, and not later."""
        with self._lock:
            self.say(Parked(self._formed))
            self._stand(-1)
            if self._wind is not None:
                self._forms.put(None)

    def return_to_work(self) -> None:
        """Parked no longer; the next generation is to be awaited as before."""
        self.say(Unparked())

    def _stand(self, step: int) -> None:
        """Unless the order to form was faster."""
        self._break = None
        if self._forms.empty():
            self._standing_at = step
            if self._halt is not None:
                self.say(Halted(self._halt.ballot, step))

    def on_break(self, breaker: Callable[[], None]) -> None:
        """`breaker` unblocks the main thread; it is called at once if it is already wanted."""
        with self._lock:
            self._break = breaker
            wanted = self._halt is not None and self._halt.urgent
        if wanted:
            breaker()

    @property
    def halt_asked(self) -> bool:
        return self._halt is not None

    @property
    def stop_asked(self) -> str | None:
        return self._wind

    @property
    def save_asked(self) -> bool:
        return self._save

    def saved(self) -> None:
        """A checkpoint is on its way, whoever asked for it."""
        self._save = False

    def close(self, timeout_s: float = 5.0) -> None:
        self._closing.set()
        self._line.flush(timeout_s)
        self._line.close()

    def _tell_pulse(self) -> None:
        """On a thread of its own: who hangs cannot say so."""
        while not self._closing.wait(PULSE_S):
            if self._standing_at is None:
                self.say(orders.Pulse(self.pulse.beats, self.pulse.resting))

    # -------------------------------------------------------------------- the orders' thread

    def _listen(self) -> None:
        while (frame := self._line.receive()) is not None:
            self._obey(orders.from_dict(frame))
        if not self._closing.is_set():
            log.error("the agent is gone; this rank ends")
            os._exit(AGENT_GONE_EXIT)

    def _obey(self, order: Order) -> None:
        match order:
            case Take():
                self._takes.put(order)
            case Halt():
                self._obey_halt(order)
            case Form(generation):
                with self._lock:
                    self._halt = None
                    self._standing_at = None
                    self._formed = generation.ballot
                    self._forms.put(generation)
            case Save():
                self._save = True
            case Wind(reason):
                with self._lock:
                    self._wind = reason
                    if self._standing_at == -1:
                        self._forms.put(None)
            case _:
                log.warning("an order no rank obeys: %s", order)

    def _obey_halt(self, order: Halt) -> None:
        with self._lock:
            self._halt = order
            breaker = self._break if order.urgent else None
            if self._standing_at is not None:
                self.say(Halted(order.ballot, self._standing_at))
        if breaker is not None:
            breaker()
