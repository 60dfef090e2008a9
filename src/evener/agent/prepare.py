"""Preparing the job's data, once per machine and in a process of its own, and what it reports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener import errors, units
from evener.errors import EvenerError

_LINE_BYTES = 2**20
_TAIL_LINES = 5


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data is there, or the error why not."""

    samples: int = 0
    validation_samples: int = 0
    seconds: float = 0.0
    error: EvenerError | None = None

    @property
    def counts(self) -> tuple[int, int]:
        return self.samples, self.validation_samples


async def prepare(
    argv: Sequence[str], env: Mapping[str, str], log: Path, note: Callable[[str], None]
) -> Prepared:
    """Run it to its end; a cancelled call kills it. `note` is told of slow progress in words."""
    began = time.monotonic()
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            limit=_LINE_BYTES,
            start_new_session=True,
        )
    try:
        answer = await _read_answer(process, note)
        status = await process.wait()
    finally:
        await _end(process)
    return _prepared(answer, status, log, time.monotonic() - began)


async def _read_answer(
    process: asyncio.subprocess.Process, note: Callable[[str], None]
) -> dict[str, Any] | None:
    """The last line with an answer; lines of progress before it go to `note`."""
    assert process.stdout is not None
    answer = None
    async for line in process.stdout:
        try:
            said = json.loads(line)
        except ValueError:
            continue  # what the user's own code printed
        if isinstance(said, dict) and "progress" in said:
            note(progress_text(said["progress"]))
        elif isinstance(said, dict) and "ok" in said:
            answer = said
    return answer


def progress_text(progress: dict[str, Any]) -> str:
    text, done, total = (progress.get(k) for k in ("text", "done_bytes", "total_bytes"))
    if not total:
        return f"{text}"
    return f"{text}: {units.show_size(float(done or 0))} of {units.show_size(float(total))}"


def _prepared(answer: dict[str, Any] | None, status: int, log: Path, seconds: float) -> Prepared:
    if answer is not None and answer["ok"] and status == 0:
        return Prepared(
            int(answer.get("samples", 0)), int(answer.get("validation_samples", 0)), seconds
        )
    if answer is not None and not answer["ok"]:
        return Prepared(seconds=seconds, error=errors.from_dict(answer.get("error") or {}))
    lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    error = errors.StartFailed(
        f"preparing the data ended with status {status}" + "".join(f"\n    {x}" for x in lines),
        where=str(log),
        fix="the log says why",
    )
    return Prepared(seconds=seconds, error=error)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Nothing of it is left, whatever it started itself."""
    if process.returncode is not None:
        return
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
