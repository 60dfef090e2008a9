"""The process group of one generation: form it, use it, break it. Nothing else touches torch's.

The group is Gloo, built directly and not through torch's global state, so that one process may
form hundreds in its life. Gloo's own abort does not unblock a collective whose peer has fallen
silent; shutting down our own sockets to the peers does, in milliseconds, and that is `break_up`.
Every rank hosts one key-value store for its life; a generation meets at its source's.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

ProcessGroupGloo: Any = _ProcessGroupGloo  # torch's stub leaves out what it is made of
# The net under a collective; membership notices silence long before and breaks the group.
COLLECTIVE_TIMEOUT_S = 1800.0
_MEET_POLL_S = 0.002
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

    def __init__(self, generation: Generation, index: int, own_store_port: int) -> None:
        self.generation = generation
        self.index = index
        self.size = len(generation.members)
        self._own_store_port = own_store_port
        self._group: Any = None
        self._sockets_before = _sockets()
        self._broken = threading.Event()

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
            self._group = ProcessGroupGloo(store, self.index, self.size, _options(timeout_s))
            self._group._set_default_timeout(timedelta(seconds=COLLECTIVE_TIMEOUT_S))

    def _meet(self, store: PrefixStore, timeout_s: float) -> None:
        """Wait for all in short looks, so that a break is seen while somebody is missing."""
        store.set(f"here/{self.index}", "1")
        everyone = [f"here/{i}" for i in range(self.size)]
        deadline = time.monotonic() + timeout_s
        while not store.check(everyone):
            if self._broken.wait(_MEET_POLL_S):
                raise GroupBroken("told to break while forming")
            if time.monotonic() > deadline:
                raise GroupBroken(f"not all {self.size} ranks came within {timeout_s:g} s")

    def sum_async(self, tensor: torch.Tensor) -> Callable[[], None]:
        """Begin to sum `tensor` over all ranks, in place; call the result to wait for it."""
        if self._group is None:
            return _nothing
        with self._translated():
            work = self._group.allreduce([tensor])

        def wait() -> None:
            with self._translated():
                work.wait()

        return wait

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        self.sum_async(tensor)()
        return tensor

    def send(self, tensor: torch.Tensor, to: int) -> None:
        assert self._group is not None
        with self._translated():
            self._group.send([tensor], to, 0).wait()

    def receive(self, tensor: torch.Tensor, source: int) -> None:
        assert self._group is not None
        with self._translated():
            self._group.recv([tensor], source, 0).wait()

    def break_up(self) -> None:
        """Unblock whatever waits, here and at the peers. Any thread may call it, repeatedly."""
        self._broken.set()
        for fd in _sockets() - self._sockets_before:
            _shut_down(fd, self._own_store_port)

    def close(self) -> None:
        """End the group; the peers' sockets learn it even if torch keeps references."""
        self.break_up()
        self._group = None

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
) -> Group:
    """The formed group of `generation`. `register` receives what breaks it, before any wait."""
    group = Group(generation, index, own_store_port)
    register(group.break_up)
    try:
        group.form(timeout_s)
    except BaseException:
        group.close()
        raise
    return group


def send_bytes(group: Group, data: bytes, to: int) -> None:
    """Length first, then the bytes, so that the receiver can make room."""
    group.send(torch.tensor([len(data)], dtype=torch.int64), to)
    group.send(torch.frombuffer(bytearray(data), dtype=torch.uint8), to)


def receive_bytes(group: Group, source: int) -> bytes:
    length = torch.zeros(1, dtype=torch.int64)
    group.receive(length, source)
    data = torch.empty(int(length.item()), dtype=torch.uint8)
    group.receive(data, source)
    return data.numpy().tobytes()


def _nothing() -> None:
    return None


def _options(timeout_s: float) -> Any:
    options = ProcessGroupGloo._Options()
    options._timeout = timedelta(seconds=timeout_s)
    interface = contract.user_variable("GLOO_SOCKET_IFNAME")  # the agent's, or the user's own
    device = (
        ProcessGroupGloo.create_device(interface=interface, lazy_init=False)
        if interface
        else ProcessGroupGloo.create_device(hostname=contract.LOOPBACK, lazy_init=False)
    )
    options._devices = [device]
    options._threads = 2
    return options


def _sockets() -> set[int]:
    """The numbers of this process's open sockets."""
    found = set()
    for name in os.listdir(_FD_DIR):  # noqa: PTH208  (names are all we need, and fast)
        try:
            if os.readlink(f"{_FD_DIR}/{name}").startswith("socket:"):  # noqa: PTH115
                found.add(int(name))
        except OSError:
            continue  # closed since the listing, or not a link on this system
    return found


def _shut_down(fd: int, own_store_port: int) -> None:
    """End a connection under whoever waits on it; listeners and store guests are left alone."""
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            connection.getpeername()  # raises on a listener
            if connection.getsockname()[1] != own_store_port:
                connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # not connected, or closed meanwhile
