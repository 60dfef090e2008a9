"""What a rank's speed rests on in a job: where one of these keys differs, it is another speed."""

from __future__ import annotations

from typing import Any

from evener.config.schema import Job

_TRAIN = ("precision", "compile", "loss", "optimizer", "micro_batch")
# Which samples, and from where, makes none faster; what they are like does.
_NEITHER = {
    "path", "mirror", "weights", "prefetch", "samples", "validation_samples", "validation", "noise",
}  # fmt: skip


def depends_on(job: Job) -> dict[str, Any]:
    """By the key's full name, as JSON has the value."""
    found = job.model_dump(mode="json", include={"model", "data", "train"})
    keys = [(t, k) for t in ("model", "data") for k in found[t] if k not in _NEITHER]
    keys += [("train", k) for k in _TRAIN]
    return {f"{table}.{key}": found[table][key] for table, key in keys}
