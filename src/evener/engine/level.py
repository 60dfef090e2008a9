"""Bringing every member of a new generation to the same state, counters and buffers included.

A group may break while some members have its last sum and others have not: those who have it
committed the step, or took in the validation, and are one ahead. Nor does anybody else know what
the lead did alone. So nothing is taken for granted: all compare notes before they go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from evener.checkpoint import pack, unpack
from evener.engine.training import Training
from evener.errors import CheckpointMismatch, UnlikeOthers
from evener.rank import relay
from evener.rank.group import Group


def level(training: Training, group: Group, restore: Callable[[], None]) -> bool:
    """Take over the source's state; True where the lead has not led all the way to it.

    `restore` gives a source its first state. A member that breaks off in here keeps the state it
    had: a snapshot is taken in whole.
    """
    worker, source = training.worker, group.generation.source
    if group.index == source and not worker.has_state:
        restore()
        worker.has_state = True
    lead = group.generation.members[0].rank
    notes = torch.zeros(group.size + 2, dtype=torch.float64)
    notes[group.index] = worker.mark
    notes[-2] = training.last_lead not in (-1, lead)
    notes[-1] = training.keeper.newest_step if group.index == 0 else 0
    *marks, other_lead, saved_step = group.sum(notes).tolist()
    behind = [i for i, mark in enumerate(marks) if mark != marks[source]]
    _take_over(training, group, source, behind)
    progress, new_lead = worker.progress, other_lead > 0 or 0 in behind
    progress.saved_step = int(saved_step)
    if new_lead:
        progress.sampled_step = -1
    training.last_lead = lead
    return new_lead


def _take_over(training: Training, group: Group, source: int, behind: Sequence[int]) -> None:
    """Who does not fit those that train already is alone in that: it must not end their run."""
    try:
        pass_on(training, group, source, behind)
    except CheckpointMismatch as error:
        if group.generation.step < 0:
            raise  # nobody trains yet, so nobody knows which of them is the odd one
        raise UnlikeOthers(
            f"it cannot join those that train: {error.what}",
            where=error.where,
            fix="give its machine the same script and the same data as the others have",
        ) from error


def pass_on(training: Training, group: Group, source: int, behind: Sequence[int]) -> None:
    """Those `behind` become replicas of `source`; all by their places in the group."""
    if group.index == source and behind:
        packed = pack(training.worker.state())
        relay.send(group, packed.size_bytes, packed.blocks(relay.BLOCK_BYTES), behind)
    elif group.index in behind:
        training.worker.restore(unpack(relay.receive(group, source, behind)))
