"""Asking the rank wing something about a checkpoint: a process of its own, answering in JSON lines.

The host wing never imports torch. `python -m evener.engine.offline VERB RUN_DIR ARGUMENTS` does,
and prints {"text": ...} while it writes, then {"result": {...}}, or {"error": {...}}.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from evener import contract, errors, placement
from evener.api import need_torch
from evener.rundir import layout
from evener.rundir.layout import RunDir

MODULE = "evener.engine.offline"
GRACE_S = 5.0  # from its answer to its end, and from SIGTERM to SIGKILL


def ask(
    verb: str,
    run_dir: Path,
    arguments: dict[str, Any],
    *,
    on_text: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """The result of `verb`. Raises the error that the process reports, or says how it died."""
    need_torch()
    argv = [sys.executable, "-m", MODULE, verb, str(run_dir), json.dumps(arguments)]
    env = contract.inherited_environ() | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    env |= contract.module_path(_code(run_dir))
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            env=env,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        try:
            result = _converse(process, on_text)
        except BaseException:  # Ctrl-C too: the child is ours to end
            process.terminate()
            _end(process)
            raise
        _end(process)
        if result is None:
            raise _died(process.returncode, said)
        return result


def _code(run_dir: Path) -> tuple[str, ...]:
    """Where the run found its job's own modules."""
    plan = RunDir(run_dir).plan_file
    return placement.from_dict(layout.read_json(plan)).code if plan.is_file() else ()


def _converse(
    process: subprocess.Popen[str], on_text: Callable[[str], None]
) -> dict[str, Any] | None:
    assert process.stdout is not None
    for answer in _answers(process.stdout):
        if "text" in answer:
            on_text(str(answer["text"]))
        elif "error" in answer:
            raise errors.from_dict(answer["error"])
        elif "result" in answer:
            return dict(answer["result"])
    return None


def _answers(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Lines that are no answer are a library talking: not ours to show."""
    for line in lines:
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict):
            yield answer


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _died(status: int, said: IO[str]) -> errors.EvenerError:
    said.seek(0)
    lines = [line.strip() for line in said if line.strip()]
    last = lines[-1] if lines else "it said nothing"
    return errors.StartFailed(
        f"the process that reads the checkpoint ended with status {status}: {last}",
        where=MODULE,
        fix="status -9 is a machine short of memory; else report it, with --debug",
    )
