"""What a resumed run may not change of its job: what its samples and its optimizer stand on."""

from __future__ import annotations

from typing import Any

from evener.config.schema import Job
from evener.errors import BadCombination

# Free is where its data lie and how they are read, not which they are.
_FREE_DATA = {"path", "mirror", "workers", "prefetch"}
# And of the training all but what the order of samples and the optimizer's state stand on.
_FIXED_TRAIN = ("seed", "global_batch", "optimizer")


def check_same_training(stored: Job, wished: Job) -> None:
    for key, before, after in _differences(stored, wished):
        raise BadCombination(
            f"{key} was {before!r} when the run began; a resumed run cannot make it {after!r}",
            where=f"-o {key}",
            fix="start a new run with `evener run`, or leave this override out",
        )


def _differences(stored: Job, wished: Job) -> list[tuple[str, Any, Any]]:
    old, new = stored.model_dump(), wished.model_dump()
    keys = [("model", k) for k in old["model"] | new["model"]]
    keys += [("data", k) for k in old["data"] | new["data"] if k not in _FREE_DATA]
    keys += [("train", k) for k in _FIXED_TRAIN]
    pairs = [(f"{s}.{k}", old[s].get(k), new[s].get(k)) for s, k in keys]
    return [(key, before, after) for key, before, after in pairs if before != after]
