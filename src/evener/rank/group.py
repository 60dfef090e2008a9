"""The process group of one generation: form it, use it, break it. Nothing else touches torch's.

The group is Gloo, built directly and not through torch's global state, so that one process may
form hundreds in its life. Gloo's own abort does not unblock a collective whose peer has fallen
silent; shutting down our own sockets to the peers does, in milliseconds, and that is `break_up`.
With one exception: a connection that fails tells all who wait for their turn on it, but not one
whose data is half-way through. So no wait outlasts a break by more than `PARTING_S`; what is
still stuck then is left to a thread of its own, and forgotten.
Every rank hosts one key-value store for its life; a generation meets at its source's.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
from torch.distributed import (  # type: ignore[attr-defined]  # there, but not in its stub
    PrefixStore,
    TCPStore,
)
from torch.distributed import ProcessGroupGloo as _ProcessGroupGloo

from evener import contract
from evener.membership.generation import Generation
from evener.rank.pulse import Pulse

ProcessGroupGloo: Any = _ProcessGroupGloo  # torch's stub leaves out what it is made of
# The net under a collective; membership notices silence long before and breaks the group.
COLLECTIVE_TIMEOUT_S = 1800.0
PARTING_S = 0.2  # in which a broken group lets go of those who wait, or never
UNENDED = "group that did not let go"  # the thread to which its remains are left
_LOOK_S = 0.1
_POLL_S = 0.002
_FD_DIR = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"  # noqa: PTH112


class GroupBroken(Exception):  # noqa: N818  (an occurrence, not a defect)
    """The group failed under this rank: a peer is gone, or it was told to break."""


class StoreHost:
    """This process's key-value store: bound to one address, open for the process's life."""

    def __init__(self, host: str) -> None:
        listener = socket.create_server((host, 0))
        self.host, self.port = listener.getsockname()[:2]
        self._store = TCPStore(
            self.host,
            self.port,
            is_master=True,
            wait_for_workers=False,
            master_listen_fd=listener.detach(),
        )


class Group:
    """The ranks of one generation, able to sum tensors and to pass them along."""

    def __init__(
        self, generation: Generation, index: int, own_store_port: int, pulse: Pulse | None = None
    ) -> None:
        self.generation = generation
        self.index = index
        self.size = len(generation.members)
        self.pulse = pulse or Pulse()
        self._host = generation.members[index].host
        self._own_store_port = own_store_port
        self._group: Any = None
        self._sockets_before = _sockets()
        self._mesh: set[int] = set()  # the connections to the others, by identity
        self._broken = threading.Event()
        self._broken_at = 0.0
        self._works: set[Any] = set()  # collectives begun and not seen to end well
        self._shut: dict[int, socket.socket | None] = {}  # None: not one to shut
        self._breaking = threading.Lock()

    def form(self, timeout_s: float) -> None:
        """Meet the others and connect. Alone there is nobody to meet."""
        if self.size == 1:
            return
        source = self.generation.members[self.generation.source]
        with self._translated():
            client = TCPStore(
                source.host,
                source.port,
                is_master=False,
                wait_for_workers=False,
                timeout=timedelta(seconds=timeout_s),
            )
            store = PrefixStore(str(self.generation.ballot), client)
            self._meet(store, timeout_s)
            self._group = ProcessGroupGloo(
                store, self.index, self.size, _options(self._host, timeout_s)
            )
            self._group._set_default_timeout(timedelta(seconds=COLLECTIVE_TIMEOUT_S))
            stores = {self._own_store_port, source.port}
            ours = _sockets() - self._sockets_before
            self._mesh = {identity for fd, identity in ours if _leads_past(fd, stores)}

    def _meet(self, store: PrefixStore, timeout_s: float) -> None:
        """Wait for all in short looks, so that a break is seen while somebody is missing."""
        store.set(f"here/{self.index}", "1")
        everyone = [f"here/{i}" for i in range(self.size)]
        deadline = time.monotonic() + timeout_s
        while not store.check(everyone):
            if self._broken.wait(_POLL_S):
                raise GroupBroken("told to break while forming")
            if time.monotonic() > deadline:
                raise GroupBroken(f"not all {self.size} ranks came within {timeout_s:g} s")

    def sum_async(self, tensor: torch.Tensor) -> Callable[[], None]:
        """Begin to sum `tensor` over all ranks, in place; call the result to wait for it."""
        if self._group is None:
            return _nothing
        with self._translated():
            work = self._group.allreduce([tensor])
            self._works.add(work)

        def wait() -> None:
            with self._translated(), self.pulse.rest():
                self._see_through(work)

        return wait

    def _see_through(self, work: Any) -> None:
        """In looks. What ended just after one is asked again: it may have ended well."""
        while True:
            try:
                work.wait(timedelta(seconds=_LOOK_S))
            except RuntimeError:
                if not work.is_completed():
                    self._raise_if_alone()
                    continue
                work.wait()  # at once: it raises what went wrong, if anything did
            self._works.discard(work)
            return

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        self.sum_async(tensor)()
        return tensor

    def send(self, tensor: torch.Tensor, to: int) -> None:
        self.send_async(tensor, to)()

    def send_async(self, tensor: torch.Tensor, to: int) -> Callable[[], None]:
        """Begin to send; call the result to wait until it is sent."""
        assert self._group is not None
        with self._translated():
            return self._pass(self._group.send([tensor], to, 0))

    def receive(self, tensor: torch.Tensor, source: int) -> None:
        assert self._group is not None
        with self._translated():
            work = self._group.recv([tensor], source, 0)
        self._pass(work)()

    def _pass(self, work: Any) -> Callable[[], None]:
        """Wait on another thread: this kind of work cannot be asked, nor waited for in looks."""
        errors: list[RuntimeError] = []

        def outwait() -> None:
            try:
                work.wait(timedelta(seconds=COLLECTIVE_TIMEOUT_S))
            except RuntimeError as error:
                errors.append(error)

        thread = threading.Thread(target=outwait, daemon=True)
        thread.start()

        def wait() -> None:
            with self._translated(), self.pulse.rest():
                while thread.is_alive():
                    thread.join(_LOOK_S)
                    self._raise_if_alone()
                if errors:
                    raise errors[0]

        return wait

    def break_up(self) -> None:
        """Unblock whatever waits, here and at the peers. Any thread may call it, repeatedly.

        Sockets are shut for reading only, and held: Gloo closes its ends at once, but what it is
        still sending, or has yet to answer, meets an open connection until we close as well.
        """
        with self._breaking:
            if not self._broken.is_set():
                self._broken_at = time.monotonic()
                self._broken.set()
            for fd, identity in _sockets() - self._sockets_before:
                if identity not in self._shut:
                    self._shut[identity] = _shut_down(fd, identity, self._own_store_port)

    def close(self) -> None:
        """End the group; the peers' sockets learn it even if torch keeps references."""
        self.break_up()
        while (stuck := [w for w in self._works if not w.is_completed()]) and not self._parted:
            time.sleep(_POLL_S)
        if stuck:
            kept = (self._group, stuck)
            threading.Thread(name=UNENDED, target=_see_out, args=kept, daemon=True).start()
        self._works.clear()
        self._group = None
        with self._breaking:
            for connection in filter(None, self._shut.values()):
                with suppress(OSError):  # a group that did not let go still holds its own end
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            self._shut.clear()

    @property
    def _parted(self) -> bool:
        return self._broken.is_set() and time.monotonic() > self._broken_at + PARTING_S

    def _raise_if_alone(self) -> None:
        """Gloo may go on waiting when it was told to break, and when the others have left: it has
        then closed all its connections, and does not end what waited for them."""
        if self._parted:
            raise GroupBroken("the group was broken up and did not let go")
        if self._mesh and self._mesh.isdisjoint(identity for _, identity in _sockets()):
            raise GroupBroken("all connections to the others have ended")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # torch's DistError family and Gloo's own derive from it
            raise GroupBroken(str(error).splitlines()[0][:300]) from error
        if self._broken.is_set():
            raise GroupBroken("the group was broken up")


def form(
    generation: Generation,
    index: int,
    own_store_port: int,
    timeout_s: float,
    register: Callable[[Callable[[], None]], None],
    pulse: Pulse | None = None,
) -> Group:
    """The formed group of `generation`. `register` receives what breaks it, before any wait."""
    group = Group(generation, index, own_store_port, pulse)
    register(group.break_up)
    try:
        group.form(timeout_s)
    except BaseException:
        group.close()
        raise
    return group


def gather(group: Group, row: Sequence[float]) -> list[list[float]]:
    """Every member's row of so many numbers, in the order of the group."""
    table = torch.zeros(group.size, len(row), dtype=torch.float64)
    table[group.index] = torch.tensor(row, dtype=torch.float64)
    rows: list[list[float]] = group.sum(table).tolist()
    return rows


def _see_out(group: Any, stuck: list[Any]) -> None:
    """Outwait what a broken group holds on to: to destroy it earlier would be to wait as well."""
    for work in stuck:
        with suppress(RuntimeError):
            work.wait()


def _nothing() -> None:
    return None


def _options(host: str, timeout_s: float) -> Any:
    options = ProcessGroupGloo._Options()
    options._timeout = timedelta(seconds=timeout_s)
    interface = contract.user_variable("GLOO_SOCKET_IFNAME")  # the agent's, or the user's own
    device = (
        ProcessGroupGloo.create_device(interface=interface, lazy_init=False)
        if interface
        else ProcessGroupGloo.create_device(hostname=host, lazy_init=False)
    )
    options._devices = [device]
    options._threads = 2
    return options


def _sockets() -> set[tuple[int, int]]:
    """This process's open sockets: each one's number and its identity."""
    found = set()
    for name in os.listdir(_FD_DIR):  # noqa: PTH208  (names are all we need, and fast)
        if (identity := _identity(int(name))) is not None:
            found.add((int(name), identity))
    return found


def _leads_past(fd: int, ports: set[int]) -> bool:
    """Whether a socket is connected, and at neither end to one of these."""
    try:
        copy = os.dup(fd)
    except OSError:
        return False  # closed meanwhile
    if _identity(copy) is None:
        os.close(copy)  # closed meanwhile, and its number is another's
        return False
    with socket.socket(fileno=copy) as connection, suppress(OSError):  # not connected
        ends = connection.getsockname(), connection.getpeername()
        return connection.family in (socket.AF_INET, socket.AF_INET6) and ports.isdisjoint(
            end[1] for end in ends
        )
    return False


def _identity(fd: int) -> int | None:
    """What a socket does not share with the next one of its number; None if it is none."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None  # closed meanwhile
    return (status.st_ino or -fd) if stat.S_ISSOCK(status.st_mode) else None


def _shut_down(fd: int, identity: int, own_store_port: int) -> socket.socket | None:
    """End a connection under whoever waits on it; listeners and store guests are left alone."""
    try:
        copy = os.dup(fd)
    except OSError:
        return None  # closed meanwhile
    if _identity(copy) not in (identity, -copy):
        os.close(copy)  # closed meanwhile, and its number is another's
        return None
    connection = socket.socket(fileno=copy)
    try:
        connection.getpeername()  # raises on a listener
        if connection.getsockname()[1] != own_store_port:
            connection.shutdown(socket.SHUT_RD)
            return connection
    except OSError:
        pass  # not connected, or closed meanwhile
    connection.close()
    return None
