"""Bringing every member of a new generation to the same state, from the one who is furthest."""

from __future__ import annotations

from collections.abc import Callable

import torch

from evener.checkpoint import from_bytes, to_bytes
from evener.engine.worker import Worker
from evener.rank.group import Group, receive_bytes, send_bytes


def level(worker: Worker, group: Group, restore: Callable[[], None]) -> None:
    """After this all members hold the source's step. `restore` gives a source its first state.

    A member that breaks off in here keeps the state it had: a snapshot is taken in whole.
    """
    source = group.generation.source
    if group.index == source and not worker.has_state:
        restore()
        worker.has_state = True
    if group.size == 1:
        return
    behind = torch.zeros(group.size)
    behind[group.index] = float(worker.step < group.generation.step or not worker.has_state)
    group.sum(behind)
    wanting = [i for i, flag in enumerate(behind.tolist()) if flag and i != source]
    if group.index == source and wanting:
        message = to_bytes(worker.snapshot())
        for index in wanting:
            send_bytes(group, message, index)
    elif group.index in wanting:
        worker.restore(from_bytes(receive_bytes(group, source)))
