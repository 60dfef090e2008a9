"""Batches in the order they are asked for: fetched by the rank itself, or ahead by workers.

Workers are started by a fork server (elsewhere: afresh), never forked from the rank: a fork would
inherit the rank's sockets, and keep them open after the rank has died, so that nobody noticed.
They end with the stream, and with the rank if it is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from types import TracebackType
from typing import Any

import torch
from torch.utils.data import DataLoader

from evener.config.schema import Loading
from evener.data import nested
from evener.data.dataset import Ids, Source
from evener.errors import CodeReturnedWrong, DiskFull, EvenerError, OutOfMemory, RankFailed

Batch = Any  # what a source fetches; of built-in ones a tuple of tensors
_OR_INLINE = "or set data.workers = 0"


@dataclass(frozen=True)
class Request:
    """The samples `ids` that a rank computes in `step`; perhaps none."""

    step: int
    epoch: int
    ids: Ids


def ahead(config: Loading) -> int:
    """How many requests may be drawn before they are needed: these keep the shares of then."""
    return config.workers * config.prefetch


class Stream:
    """Iterates (request, its batch), the batch None where a request asks for nothing.

    `requests` is drawn from in the caller's thread, one at a time, no more than `ahead` early.
    """

    def __init__(
        self, source: Source, requests: Iterator[Request], workers: int, prefetch: int
    ) -> None:
        self._source = source
        self._requests = requests
        self._workers = workers
        self._prefetch = prefetch
        self._drawn: deque[Request] = deque()
        self._loader: Any = None
        self._closed = False

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[Request, Batch | None]]:
        return self

    def __next__(self) -> tuple[Request, Batch | None]:
        if self._closed:
            raise StopIteration
        if not self._workers:
            request = next(self._requests)
            return request, _fetch(self._source, request)
        batch = self._next_of_workers()
        return self._drawn.popleft(), batch

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        self._closed = True
        if self._loader is not None:
            self._loader._shutdown_workers()  # what the iterator's own end would call
            self._loader = None

    def _next_of_workers(self) -> Batch | None:
        if self._loader is None:
            self._loader = self._start()
        try:
            found = next(self._loader)
        except RuntimeError as error:
            codes = [w.exitcode for w in self._loader._workers if w.exitcode is not None]
            if codes:
                raise _ended(codes[0]) from error
            raise
        if isinstance(found, EvenerError):
            raise found
        return found

    def _start(self) -> Any:
        loader: DataLoader[Any] = DataLoader(
            _Fetcher(self._source),  # type: ignore[arg-type]  # has all of a Dataset that is used
            batch_size=None,
            sampler=self._draw(),
            num_workers=self._workers,
            prefetch_factor=self._prefetch,
            collate_fn=_as_it_is,
            worker_init_fn=_end_with_the_rank,
            multiprocessing_context=_context(),
            generator=torch.Generator(),  # else the rank's own random numbers would move on
        )
        try:
            return iter(loader)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise CodeReturnedWrong(
                f"the data set cannot be sent to loader processes: {error}",
                where="data.workers",
                fix=f"keep open files, locks and lambdas out of it, {_OR_INLINE}",
            ) from error

    def _draw(self) -> Iterator[Request]:
        for request in self._requests:
            self._drawn.append(request)
            yield request


class _Fetcher:
    """What a worker holds. Errors that a person should read travel as values, whole."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getitem__(self, request: Request) -> Batch | EvenerError | None:
        try:
            batch = _fetch(self._source, request)
        except EvenerError as error:
            return error
        return None if batch is None else _shared(batch)


def _fetch(source: Source, request: Request) -> Batch | None:
    return source.fetch(request.ids, request.epoch) if len(request.ids) else None


def _shared(batch: Batch) -> Batch | EvenerError:
    """Put it into shared memory here: in the queue's own thread a failure would be lost."""
    try:
        return nested.mapped(batch, _share)
    except RuntimeError as error:
        return _no_shared_memory(str(error))


def _share(leaf: Any) -> Any:
    return leaf.share_memory_() if isinstance(leaf, torch.Tensor) else leaf


def _no_shared_memory(reason: str) -> DiskFull:
    return DiskFull(
        f"a loader process found no room in shared memory: {reason}",
        where="/dev/shm",
        fix=f"start the container with more (--shm-size 1g), lower data.prefetch, {_OR_INLINE}",
    )


def _ended(exit_code: int) -> EvenerError:
    """Why a worker is gone, as far as its exit tells."""
    if -exit_code == getattr(signal, "SIGBUS", None):
        return _no_shared_memory("it was killed by SIGBUS")
    if -exit_code == getattr(signal, "SIGKILL", None):
        return OutOfMemory(
            "a loader process was killed, most likely because memory ran out",
            where="data.workers",
            fix=f"use fewer data.workers or a lower data.prefetch, {_OR_INLINE}",
        )
    return RankFailed(
        f"a loader process ended with status {exit_code}",
        where="data.workers",
        fix=f"see the rank's log for what it said, {_OR_INLINE}",
    )


def _context() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # torch is imported once, by the server
    return context


def _as_it_is(batch: Any) -> Any:
    return batch


def _end_with_the_rank(worker: int) -> None:
    """In a worker: end when the rank does. torch's own watch looks at the fork server instead."""
    rank = multiprocessing.parent_process()
    assert rank is not None

    def watch() -> None:
        rank.join()
        os._exit(1)

    threading.Thread(target=watch, name="watches the rank", daemon=True).start()
