"""Are the replicas still one? All compare their weights, and one that went astray is replaced.

All ranks apply the same sums to the same weights, so on like machines replicas are alike to the
bit. A CPU's and a GPU's optimizer differ in last digits, and drift apart, slowly; broken memory
does worse. So every rank sends what its weights look like: a hash of their bits, and sums over a
few slices of each tensor, whose differences tell how far two replicas are apart without sending
either. What holds is what most ranks have; the lead's, if nobody has a majority.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evener.engine.level import pass_on
from evener.engine.training import Training
from evener.events import Alert, ReplicasCompared
from evener.rank.group import Group, gather

TOLERANCE = 1e-5  # of the weights' norm: rounding of fp32 is far below, harm to training far above
SLICES = 8  # of a tensor: element i is in slice i % SLICES
_HASHES = 2**48  # a float64 holds them exactly


@dataclass(frozen=True, slots=True)
class Verdict:
    """By places in the group: how far each is from `source`, and who takes over its state."""

    source: int
    drift: tuple[float, ...]
    astray: tuple[int, ...]
    alike: bool  # to the bit


def due(every: int, step: int) -> bool:
    """By the step alone: a break is followed by the same comparison in the next generation."""
    return step > 0 and step % every == 0


def compare(training: Training, group: Group) -> None:
    """Compare all replicas and mend what is astray; all ranks come here at the same step."""
    own = likeness(training.worker.model.parameters())
    verdict = judge(gather(group, own.tolist()))
    pass_on(training, group, verdict.source, verdict.astray)
    _tell(training, group, verdict)


def likeness(parameters: Iterable[nn.Parameter]) -> Tensor:
    """What tells replicas apart: a hash of all bits, the norm's square, the sums of slices."""
    bits, squares, sums = list[Tensor](), list[Tensor](), list[Tensor]()
    for parameter in parameters:
        if parameter.is_floating_point():
            flat = parameter.detach().reshape(-1)
            flat = flat.cpu() if flat.device.type == "mps" else flat  # which has no fp64
            bits.append(_slices(flat.view(_WHOLE[flat.element_size()]).long()))
            flat = flat.double()
            squares.append(torch.dot(flat, flat))
            sums.append(_slices(flat))
    digest = sum(i * b for i, b in enumerate(torch.cat(bits).tolist(), start=1)) % _HASHES
    head = torch.tensor([float(digest), float(torch.stack(squares).sum())], dtype=torch.float64)
    return torch.cat([head, torch.cat(sums).cpu()])


_WHOLE = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def _slices(flat: Tensor) -> Tensor:
    """The sums of every eighth element, beginning with each of the first eight."""
    whole = len(flat) - len(flat) % SLICES
    sums = flat[:whole].view(-1, SLICES).sum(0)
    sums[: len(flat) - whole] += flat[whole:]
    return sums


def judge(table: Sequence[Sequence[float]]) -> Verdict:
    """What most agree on holds; on a tie, what the first of them has, who is the lead."""
    places = range(len(table))
    near = [sum(apart(row, other) <= TOLERANCE for other in table) for row in table]
    source = max(places, key=lambda i: (near[i], -i))
    drift = tuple(apart(table[source], row) for row in table)
    return Verdict(
        source,
        drift,
        tuple(i for i in places if drift[i] > TOLERANCE),
        all(row[0] == table[0][0] for row in table),
    )


def apart(one: Sequence[float], other: Sequence[float]) -> float:
    """How far two replicas are apart, as a part of the norm of the weights. Not finite: endlessly.

    Of differences that fall on the elements by chance this is the expected size; a single element
    of another value shows with its whole difference.
    """
    if one[0] == other[0]:
        return 0.0
    distance = math.sqrt(sum((a - b) * (a - b) for a, b in zip(one[2:], other[2:], strict=True)))
    norm = math.sqrt(max(one[1], other[1]))
    part = distance / norm if norm > 0 else distance
    return part if math.isfinite(part) else math.inf


def _tell(training: Training, group: Group, verdict: Verdict) -> None:
    """All know it alike; it is told where replicas differ, and the first time."""
    if verdict.alike and training.compared:
        return
    training.compared = True
    step, lead = training.worker.progress.step, group.index == 0
    ranks = tuple(m.rank for m in group.generation.members)
    for place in verdict.astray:
        text = (
            f"rank {ranks[place]} had drifted away by {verdict.drift[place]:.1e} of its weights "
            f"at step {step}; it took over the state of rank {ranks[verdict.source]}"
        )
        training.reporter.agree(Alert("warning", text, ranks[place]), lead)
    resent = tuple(ranks[i] for i in verdict.astray)
    training.reporter.agree(ReplicasCompared(step, ranks, verdict.drift, resent), lead)
