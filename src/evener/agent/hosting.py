"""A head that is gone is started again, by an agent that has the run's folder on its own disk.

Training does not need it, but who watches does. The port decides which of several agents hosts it:
the others find it taken, and their events arrive. It ends with the run, or with its agent; then
the next agent takes its turn.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from evener import contract
from evener.contract import AgentEnv, HeadEnv
from evener.events import Alert
from evener.rundir.layout import RunDir
from evener.wire.frames import split_address
from evener.wire.outbox import Outbox

log = logging.getLogger("evener.agent")

AGAIN_S = 1.0  # without it; the agents after the first wait longer, one after the other
LOOK_S = 0.2
KNOCK_S = 1.0
BACK_OFF_S, BACK_OFF_MOST_S = 2.0, 60.0  # after one that did not live for so long:
LIVED_S = 10.0
END_S = 15.0  # for a head that we host to end, once all agents have


class Hosting:
    """Close it after the outbox: what that says last is still taken in."""

    def __init__(self, env: AgentEnv, run: RunDir, place: int) -> None:
        self._env, self._run = env, run
        self._patience_s = AGAIN_S * (1 + place)
        self._closing = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._tries, self._hosted_s, self._not_before = 0, 0.0, 0.0
        self._thread: threading.Thread | None = None

    def watch(self, outbox: Outbox) -> None:
        """From now on, if this agent may."""
        if self._env.hosts:
            target = self._watch
            self._thread = threading.Thread(target=target, args=(outbox,), name="hosting")
            self._thread.start()

    def close(self) -> None:
        """A head that we host ends first."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, outbox: Outbox) -> None:
        """The child lives as long as this thread: it is the one that starts it."""
        while not self._closing.wait(LOOK_S):
            if self._child is not None and self._child.poll() is not None:
                log.warning("the head that was hosted here ended: %s", self._child.returncode)
                self._child = None
            if self._child is None and self._wanted(outbox) and self._is_free():
                self._host(outbox)
        if self._child is not None:
            see_off(self._child)

    def _wanted(self, outbox: Outbox) -> bool:
        return outbox.away_s > self._patience_s and time.monotonic() > self._not_before

    def _is_free(self) -> bool:
        """Whether nobody listens there, were it only a head that is slow or stands still."""
        try:
            socket.create_connection(split_address(self._env.head), KNOCK_S).close()
        except OSError:
            return True
        return False

    def _host(self, outbox: Outbox) -> None:
        env, run = self._env, self._run
        now = time.monotonic()
        tries = 0 if now - self._hosted_s > LIVED_S else self._tries
        self._tries, self._hosted_s = min(tries + 1, 10), now
        self._not_before = now + min(BACK_OFF_S * 2**tries, BACK_OFF_MOST_S)
        told = HeadEnv(
            env.run_dir,
            env.secret,
            listen=env.head,
            expected_agents=env.expected_agents,
            of_agent=1,
        )
        try:
            self._child = start_head(run, told)
        except OSError as error:
            log.error("the head cannot be started again: %s", error)
            return
        outbox.put(Alert("note", f"the head was gone: agent {env.agent} has started it again"))


def start_head(run: RunDir, told: HeadEnv) -> subprocess.Popen[bytes]:
    """It lives as long as the thread that starts it."""
    with run.head_log.open("ab") as file:
        return subprocess.Popen(
            (sys.executable, "-P", "-m", "evener.head"),
            env=contract.inherited_environ() | contract.to_environ(told),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def see_off(child: subprocess.Popen[bytes]) -> None:
    """It ends when all agents have told it that they end."""
    calls: tuple[Callable[[], None], ...] = (lambda: None, child.terminate, child.kill)
    for call in calls:
        call()
        try:
            child.wait(END_S)
        except subprocess.TimeoutExpired:
            continue
        return
