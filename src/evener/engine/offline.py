"""What one may ask of a run's model when nobody trains: sample, evaluate, export.

    python -m evener.engine.offline sample|eval|export RUN_DIR '{"checkpoint": "best", ...}'

One JSON object a line on standard output: {"text": ...} as it is written, one {"result": ...} at
the end, or {"error": ...}. The host wing runs it as a process, for it has no torch itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from evener import checkpoint
from evener.checkpoint import Snapshot
from evener.checkpoint.snapshot import MODEL
from evener.config.load import job_from_json
from evener.config.schema import Job
from evener.data.sources import DataSet, open_data
from evener.engine import export, validation
from evener.engine.task import build_task
from evener.engine.worker import Worker, build_worker
from evener.errors import BadCombination, EvenerError, RankFailed
from evener.membership.generation import Ballot, Generation, Member
from evener.models import build_model
from evener.models.generate import generate
from evener.rank.device import open_device
from evener.rank.group import Group
from evener.rundir import checkpoints
from evener.rundir.checkpoints import Entry
from evener.rundir.layout import RunDir

Arguments = dict[str, Any]
CHUNK_TOKENS = 16


def main() -> int:
    verb, folder, arguments = sys.argv[1:4]
    verbs: dict[str, Callable[[RunDir, Arguments], Any]] = {
        "sample": sample,
        "eval": evaluate,
        "export": write_export,
    }
    try:
        result = verbs[verb](RunDir(Path(folder)), json.loads(arguments))
    except EvenerError as error:
        return _say_error(error)
    except Exception as error:  # noqa: BLE001  (the top of a process: everything is reported)
        return _say_error(RankFailed(f"{type(error).__name__}: {error}", where=f"evener {verb}"))
    _say({"result": result})
    return 0


def sample(run: RunDir, arguments: Arguments) -> Any:
    """Text from the model: `prompt`, `tokens`, `temperature`, `top_k`, `seed`, `checkpoint`."""
    worker, data, entry = _open(run, arguments)
    codec = data.codec
    if codec is None:
        raise BadCombination(
            f"the run learned from {worker.job.data.name!r}, which is no text",
            where=str(run.path),
            fix="evener eval measures such a model",
        )
    ids = codec.encode(str(arguments.get("prompt", "\n")))
    generator = torch.Generator().manual_seed(int(arguments.get("seed", 0)))
    left = int(arguments.get("tokens", 200))
    top_k = arguments.get("top_k")
    while left > 0:
        new = generate(
            worker.model,
            ids,
            min(CHUNK_TOKENS, left),
            float(arguments.get("temperature", 0.8)),
            top_k,
            generator,
            data.shape.input[0],
        )
        ids, left = ids + new, left - len(new)
        _say({"text": codec.decode(new)})
    return {"step": entry.step}


def evaluate(run: RunDir, arguments: Arguments) -> Any:
    """The whole validation set under a checkpoint: `checkpoint`."""
    worker, data, entry = _open(run, arguments)
    if data.validation is None:
        raise BadCombination("the run's data has no validation part", where=str(run.path))
    result = validation.validate(worker, _alone(), data.validation, (_batch(worker.job),))
    return {"step": entry.step, "loss": result.loss, **result.metrics}


def write_export(run: RunDir, arguments: Arguments) -> Any:
    """The weights as one file: `format`, `output`, `checkpoint`."""
    entry = _entry(run, arguments, _job(run))
    snapshot = checkpoint.read(entry.path)
    suffix = "." + str(arguments.get("format", "safetensors"))
    default = run.path / f"model-step{entry.step}{suffix}"
    path = Path(arguments.get("output") or default)
    about = {"format": "pt", "evener.step": str(entry.step)}
    size = export.write_model(path, snapshot.part(MODEL), about, suffix)
    return {"step": entry.step, "path": str(path), "size_bytes": size}


def _open(run: RunDir, arguments: Arguments) -> tuple[Worker, DataSet, Entry]:
    job = _job(run)
    entry = _entry(run, arguments, job)
    snapshot: Snapshot = checkpoint.read(entry.path)
    data = open_data(job)
    task = build_task(job.train, data.shape)
    device = open_device("cpu", max(1, (os.cpu_count() or 2) - 1))
    worker = build_worker(job, build_model(job.model, data.shape), task, device)
    worker.restore(snapshot)
    return worker, data, entry


def _entry(run: RunDir, arguments: Arguments, job: Job) -> Entry:
    wanted = arguments.get("checkpoint") or "last"
    return checkpoints.choose(run.checkpoints, wanted, job.checkpoint.metric)


def _job(run: RunDir) -> Job:
    return job_from_json(run.job_file.read_text(encoding="utf-8"))


def _batch(job: Job) -> int:
    return job.validation.batch or job.train.global_batch


def _alone() -> Group:
    """A group of one: nobody to meet, nothing to sum."""
    member = Member("a00", 0, 0, "", 0)
    return Group(Generation(Ballot(0, "a00"), (member,), -1, 0), 0, 0)


def _say(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def _say_error(error: EvenerError) -> int:
    _say({"error": error.to_dict()})
    return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
