"""Between an agent's own disk and the run's folder on the head's machine, where those are two.

Before anything starts, what was decided is fetched, and the newest checkpoint. Then, in a thread,
what the agent's processes write is brought home: logs and ledgers as they grow, every checkpoint
once it is whole, the model at the end. A head that is away is waited for; training goes on.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from evener import contract, errors
from evener.agent.outputs import Outputs
from evener.contract import AgentEnv
from evener.events import Alert, CheckpointHome, Event
from evener.rundir import cargo, checkpoints, freight, layout
from evener.rundir.layout import RunDir
from evener.wire.porter import PIECE_BYTES, Porter

log = logging.getLogger("evener.agent")

FETCH_S = 120.0  # for a head that starts when we do, and a checkpoint on a slow link
AGAIN_S, LOOK_S = 0.5, 2.0
AHEAD_S = 5.0  # between two looks at what of others' could be fetched ahead
AWAY_S, SLOW_S = 10.0, 1.0  # a head that is out of reach is so for a while; one that is refused may
# be there the next moment
TRIES = 3  # of a checkpoint that does not arrive as it was


class Courier:
    """`fetch`, then use it in a `with`. It does nothing where the folder is the agent's own."""

    def __init__(
        self, env: AgentEnv, run: RunDir, patience_s: float = FETCH_S, *,
        look_s: float = LOOK_S, ahead_s: float = AHEAD_S, aside: str = "",
    ) -> None:  # fmt: skip
        self._env, self._run, self._aside = env, run, aside
        self._where: Callable[[], str] = lambda: env.head
        self._look_s, self._ahead_s = look_s, ahead_s
        self._patience_s, self._again_s = patience_s, min(AGAIN_S, patience_s)
        self._emit: Callable[[Event], None] = lambda _: None
        self._sent: dict[str, int] = {}  # bytes of a growing file that are home
        self._begins: dict[str, int] = {}  # where in the file at home our own begins
        self._home: set[str] = set()  # checkpoints, and the hash of the exported model
        self._damaged: set[str] = set()  # checkpoints that are not as they were written
        self._folder = ""  # which one home is
        self._others: dict[str, tuple[dict[str, int], dict[str, int], set[str]]] = {}
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._outputs: Outputs | None = None
        self._ahead_at = self._lost_at = -AWAY_S
        self._errands: queue.SimpleQueue[tuple[bool, threading.Event]] = queue.SimpleQueue()

    def follow(self, stays: Sequence[str]) -> None:
        """From now on what a script writes is brought as well, but for what `stays`."""
        if self._env.apart:
            came = cargo.places(self._run, contract.cache_folder() / contract.CARGO)
            places = {os.path.normpath(path): at for path, at in came.items()}
            self._outputs = Outputs(self._env.agent, self._run, stays, places)
            self._outputs.unpack()

    def exchange(self, *, fetch: bool) -> Callable[[], bool]:
        """Bring what is new at once, and fetch what others brought; the answer says when that is
        done, or the head away."""
        done = threading.Event()
        if self._env.apart:
            self._errands.put((fetch, done))
        else:
            done.set()
        return done.is_set

    def fetch(self) -> None:
        """What a start needs. Raises StartFailed where it does not come."""
        if not self._env.apart:
            return
        self._run.create()
        deadline = time.monotonic() + self._patience_s
        heads = itertools.cycle(filter(None, (self._env.head, self._aside)))
        while True:
            try:
                with self._porter(next(heads)) as porter:
                    self._fetch(porter)
                return
            except OSError as error:
                log.info("what the run needs does not come yet: %s", error)
                if time.monotonic() > deadline:
                    raise errors.StartFailed(
                        f"what the run needs could not be fetched: {error}",
                        where=f"agent {self._env.agent}, from the head at {self._env.head}",
                        fix="look whether this machine reaches that of the head",
                    ) from error
            time.sleep(self._again_s)

    def _fetch(self, porter: Porter) -> None:
        self._folder, there = porter.home(), porter.listing()
        self._learn(there)
        for name in there["configs"]:
            porter.fetch(name, self._run.path / name)
        self._fetch_cargo(porter, there.get("cargo", ()))
        for name, files in reversed(there["checkpoints"].items()):
            if self._fetch_checkpoint(porter, self._run.checkpoints / name, files):
                return
            log.error("%s did not come as it was written: the one before it is fetched", name)

    def _learn(self, there: dict[str, Any]) -> None:
        """What of ours is home already."""
        self._sent = {}
        self._home = set(there["checkpoints"])
        own = freight.growing(self._run)  # of an earlier life on this disk: it is home as well
        self._begins = {name: size for name, size in there["grown"].items() if name not in own}

    def _find(self, porter: Porter) -> None:
        """The head may have gone to another machine, where nothing is of what we brought, and come
        back."""
        folder = porter.home()
        if folder != self._folder:
            log.warning("the run's folder is on another machine now: all of ours goes there")
            self._others[self._folder] = self._sent, self._begins, self._home
            if folder in self._others:
                self._sent, self._begins, self._home = self._others[folder]
            else:
                self._learn(porter.listing())
            self._folder = folder
            if self._outputs is not None:
                self._outputs.forget()

    def _fetch_cargo(self, porter: Porter, names: Iterable[str]) -> None:
        """The user's code and data, which this machine has not seen yet."""
        cache, code = contract.cache_folder() / contract.CARGO, self._run.path / contract.CODE
        self._run.cargo.mkdir(exist_ok=True)
        for name in cargo.missing(self._run, cache, list(names)):
            porter.fetch_on(name, self._run.path / name)
        cargo.unpack(self._run, code, cache)

    def _fetch_checkpoint(self, porter: Porter, folder: Path, files: Iterable[str]) -> bool:
        """False where it is damaged: here, or already there."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in files:
            target = self._run.path / name
            if not target.is_file():
                porter.fetch(name, target)
        try:
            checkpoints.verify(folder)
        except errors.CheckpointDamaged:
            shutil.rmtree(folder)
            return False
        return True

    def watch(self, emit: Callable[[Event], None], where: Callable[[], str]) -> None:
        """From now on, bring home what is new; `emit` hears of checkpoints that are, and `where`
        tells the address of the head that answers."""
        if self._env.apart:
            self._emit, self._where = emit, where
            self._thread = threading.Thread(target=self._work, name="courier", daemon=True)
            self._thread.start()

    def finish(self) -> bool:
        """Bring what there is: nothing is written any more. Some tries, then it stays here."""
        for _ in range(TRIES):
            if not self._env.apart or self._bring():
                return True
            time.sleep(self._again_s)
        log.error("the head does not take what this machine has of the run: it stays here")
        return False

    def close(self) -> None:
        self._closing.set()
        self._errands.put((False, threading.Event()))  # it looks up
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                fetch, done = self._errands.get(timeout=self._look_s)
            except queue.Empty:
                if self._bring() and self._outputs is not None:
                    self._look_ahead(self._outputs)
                continue
            self._run_errand(fetch=fetch)
            done.set()

    def _run_errand(self, *, fetch: bool) -> None:
        """Others wait for it: a head that was out of reach just now is not called again."""
        lost = time.monotonic() - self._lost_at < AWAY_S
        home = not lost and self._bring()
        if self._outputs is not None and fetch:
            with self._turn:
                self._fetch_outputs(self._outputs, home=home)

    def _fetch_outputs(self, own: Outputs, *, home: bool) -> None:
        try:
            if home:
                with self._porter() as porter:
                    own.fetch(porter)
                return
        except OSError as error:
            log.warning("the head gives nothing more: %s", error)
        log.warning("the head is away: what was fetched before must do")
        with contextlib.suppress(OSError):
            own.make_do()

    def _look_ahead(self, own: Outputs) -> None:
        if time.monotonic() - self._ahead_at < self._ahead_s:
            return
        self._ahead_at = time.monotonic()
        with contextlib.suppress(OSError), self._turn, self._porter() as porter:
            own.look_ahead(porter)

    def _porter(self, head: str = "") -> contextlib.closing[Porter]:
        return contextlib.closing(Porter(head or self._where(), self._env.secret))

    def _bring(self) -> bool:
        """All that is new. False where the head did not take it."""
        with self._turn:
            began = time.monotonic()
            try:
                with self._porter() as porter:
                    self._find(porter)
                    for name, size in freight.growing(self._run).items():
                        self._bring_grown(porter, name, size)
                    for entry in checkpoints.entries(self._run.checkpoints):
                        self._bring_checkpoint(porter, entry.path, entry.step)
                    if self._run.export_file.is_file():
                        self._bring_export(porter)
                    if self._outputs is not None:
                        self._outputs.bring(porter)
            except OSError as error:
                log.info("the head takes nothing home: %s", error)
                if time.monotonic() - began > SLOW_S:
                    self._lost_at = time.monotonic()
                return False
            self._tell_shared()
            return True

    def _tell_shared(self) -> None:
        """Once of each file."""
        for path in self._outputs.newly_shared() if self._outputs is not None else ():
            text = f"{path} is written here and on another machine: what came home last holds; let "
            text += "one rank write it, or name it after the rank"
            self._emit(Alert("warning", f"agent {self._env.agent}: {text}"))

    def _bring_grown(self, porter: Porter, name: str, size: int) -> None:
        sent = self._sent.get(name, 0)
        if size == 0 and name not in self._sent:  # it is there, and has nothing to say yet
            self._sent[name] = 0
            porter.bring(name, self._begins.get(name, 0), b"")
        while sent < size and (piece := _piece(self._run.path / name, sent)):
            at = self._begins.get(name, 0) + sent
            length = porter.bring(name, at, piece)
            if length < at:  # somebody has shortened it: ours goes on where it ends
                self._begins[name] = length - sent
                continue
            self._sent[name] = sent = sent + len(piece)

    def _bring_checkpoint(self, porter: Porter, folder: Path, step: int) -> None:
        if folder.name in self._home | self._damaged or not self._is_sound(folder):
            return
        for _ in range(TRIES):
            try:
                for name, size in freight.of_checkpoint(self._run, folder).items():
                    _bring_file(porter, name, self._run.path / name, size)
            except FileNotFoundError:
                return  # dropped meanwhile: a later one is kept instead
            if porter.settle(folder.name):
                self._home.add(folder.name)
                self._emit(CheckpointHome(step, self._env.agent))
                return
        log.error("the checkpoint of step %d does not arrive as it was", step)

    def _is_sound(self, folder: Path) -> bool:
        """What is damaged where it was written arrives like that, however often it is sent."""
        try:
            checkpoints.verify(folder)
        except errors.CheckpointDamaged as error:
            if folder.is_dir():  # else it was dropped meanwhile: a later one is kept instead
                log.error("%s; it stays here", error.what)
                self._damaged.add(folder.name)
            return False
        return True

    def _bring_export(self, porter: Porter) -> None:
        file, name = self._run.export_file, contract.EXPORT_NAME
        sha256 = layout.digest(file)
        if sha256 in self._home:
            return
        for _ in range(TRIES):
            _bring_file(porter, name, file, file.stat().st_size)
            if porter.settle(name, sha256):
                self._home.add(sha256)
                return


def _bring_file(porter: Porter, name: str, file: Path, size: int) -> None:
    at = 0
    while at < size and (piece := _piece(file, at)):
        at = porter.bring(name, at, piece)


def _piece(file: Path, at: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(at)
        return opened.read(PIECE_BYTES)
