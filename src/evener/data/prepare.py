"""Make the data of a job ready on this machine, once, before its ranks open it; find its faults.

    python -m evener.data.prepare

runs beside the ranks' start. It reads the job of the run that its environment names, and writes
one JSON object a line: {"progress": {...}} now and then, at the end {"ok": true, "samples": ...}
or {"ok": false, "error": {...}}. It imports no torch; the user's own data may.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from evener import contract
from evener.config.load import job_from_json
from evener.config.schema import Job, ScriptData, Tokens
from evener.data import tokens
from evener.data.dataset import DataSet, Report
from evener.data.sources import open_data
from evener.errors import BadCombination, DataTooSmall, EvenerError, WrongValue
from evener.lifeline import die_with_parent
from evener.rundir.layout import RunDir

_EVERY_S = 0.5  # between two lines of progress


@dataclass(frozen=True, slots=True)
class Counts:
    """What there is to learn from; no validation counts as 0."""

    samples: int
    validation_samples: int


def prepare(job: Job, report: Report) -> Counts:
    """Download, check, tokenise; afterwards `open_data` is quick. Raises what is wrong with it.

    A script's data nobody but the script can open: nothing is known of it.
    """
    if isinstance(job.data, ScriptData):
        return Counts(0, 0)
    data = open_data(job, report)
    if isinstance(job.data, Tokens):
        tokens.check_range(job.data, report)
    _check_size(job, data)
    _check_prompt(job, data)
    return Counts(len(data.train), len(data.validation) if data.validation is not None else 0)


def _check_size(job: Job, data: DataSet) -> None:
    samples = len(data.train)
    if samples < job.train.global_batch:
        raise DataTooSmall(
            f"there are {samples} training samples, and a step takes {job.train.global_batch}",
            where="train.global_batch",
            fix=f"set train.global_batch = {samples} or less" if samples else "add training data",
        )
    if data.validation is not None and not len(data.validation):
        what = "the validation set has no samples"
        raise DataTooSmall(what, where="data", fix="add some, or return None for no validation")


def _check_prompt(job: Job, data: DataSet) -> None:
    if job.sample is None:
        return
    if data.codec is None:
        raise BadCombination(
            f"[sample] writes text, but data {job.data.name!r} does not say how to write tokens",
            where="sample",
            fix="remove [sample], or give the data set an attribute `codec` (encode, decode)",
        )
    if not data.codec.encode(job.sample.prompt):
        fix = "give it at least one character"
        raise WrongValue("the prompt is empty", where="sample.prompt", fix=fix)


# ------------------------------------------------------------------------- as a process


class _Lines:
    """The lines for the agent. Whatever else is printed, by the user's code too, is no line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._said_at = float("-inf")

    def say(self, record: dict[str, Any]) -> None:
        self._out.write(json.dumps(record) + "\n")
        self._out.flush()

    def report(self, text: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said_at >= _EVERY_S:
            self._said_at = now
            self.say({"progress": {"text": text, "done_bytes": done, "total_bytes": total}})


def main() -> int:
    die_with_parent()
    lines = _Lines(os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        env = contract.from_environ(contract.RankEnv)
        job = job_from_json(RunDir(Path(env.run_dir)).job_file.read_text("utf-8"))
        counts = prepare(job, lines.report)
    except EvenerError as error:
        lines.say({"ok": False, "error": error.to_dict()})
        return error.exit_status
    except Exception as error:  # noqa: BLE001  (the top of a process: everything is reported)
        traceback.print_exc()
        told = EvenerError(f"preparing the data: {type(error).__name__}: {error}")
        lines.say({"ok": False, "error": told.to_dict()})
        return told.exit_status
    samples = {"samples": counts.samples, "validation_samples": counts.validation_samples}
    lines.say({"ok": True, **samples})
    return 0


if __name__ == "__main__":
    sys.exit(main())
