"""The model as a file for others: safetensors with a word about itself, or a .pth."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from safetensors.torch import save as save_safetensors

from evener.checkpoint.snapshot import MODEL
from evener.engine.worker import Worker
from evener.events import Exported
from evener.rundir.layout import RunDir, write_atomic


def final(run: RunDir, worker: Worker) -> Exported:
    """Write the run's model beside its record."""
    tensors = worker.snapshot().part(MODEL)
    about = {
        "format": "pt",
        "evener.model": worker.job.model.model_dump_json(),
        "evener.step": str(worker.progress.step),
    }
    size = write_model(run.export_file, tensors, about, ".safetensors")
    return Exported(run.export_file.relative_to(run.path).as_posix(), size)


def write_model(
    path: Path, tensors: dict[str, torch.Tensor], about: dict[str, str], suffix: str
) -> int:
    """`.safetensors`, or `.pth`: the plain state dict, loadable with weights_only."""
    if suffix == ".pth":
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        data = buffer.getvalue()
    else:
        data = save_safetensors(tensors, about)
    write_atomic(path, data)
    return len(data)
