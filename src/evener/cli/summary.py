"""The last words about a run: what was reached, where everything is, what can be done with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from evener import contract, words
from evener.cli.paper import columns, text
from evener.cli.typed import typed
from evener.rundir.layout import RunDir
from evener.state import CheckpointView, RunState
from evener.units import show_duration, show_size


def summary(run: RunDir, state: RunState, *, trained_text: bool) -> list[Text]:
    """For a person at the end of a run; the error of a failed one is printed elsewhere."""
    head = text(_outcome(state))
    head.stylize("bold", 0, len(state.run))
    blocks = [[head, *_reached(state)], _table("files", _files(run, state))]
    commands = _commands(run, state, trained_text)
    blocks.append(_table("next", commands))
    lines: list[Text] = []
    for block in blocks:
        lines += [text(), *block]
    return lines


def _outcome(state: RunState) -> str:
    length = ""
    if state.ended_at is not None and state.begun_at is not None:
        length = f" after {show_duration(max(state.ended_at - state.begun_at, 0.0))}"
    total = f" of {state.total_steps}" if state.total_steps else ""
    reason = f" ({state.reason})" if state.reason and state.phase == "finished" else ""
    return f"{state.run} {state.phase} at step {state.step}{total}{length}{reason}"


def _reached(state: RunState) -> Iterable[Text]:
    if state.loss is not None:
        more = f", {words.metrics(state.metrics)}" if state.metrics else ""
        yield text(f"  training    loss {words.number(state.loss)}{more}")
    best, last = state.best_validation, state.validation
    if last is not None:
        more = f", {words.metrics(last.metrics)}" if last.metrics else ""
        at = f" at step {last.step}" if last.step != state.step else ""
        yield text(f"  validation  loss {words.number(last.loss)}{more}{at}")
    if best is not None and last is not None and best.step != last.step:
        yield text(f"  best        loss {words.number(best.loss)} at step {best.step}")
    kept = max((c.step for c in state.checkpoints), default=0)
    if state.is_torchrun:
        return
    if state.phase != "finished" and kept < state.step:
        where = f"step {kept}, the last checkpoint" if kept else "the beginning: no checkpoint yet"
        yield text(f"  goes on     from {where}")


def _files(run: RunDir, state: RunState) -> list[tuple[str, str]]:
    rows = [("run", str(run.path)), ("record", str(run.db)), ("logs", str(run.logs))]
    if run.work.is_dir():
        rows.append(("work", f"{run.work} (what the script wrote)"))
    if state.checkpoints:
        rows.append(("checkpoints", f"{run.checkpoints}{_kept(state.checkpoints)}"))
    if state.exported:
        path = run.path / state.exported
        size = f" ({show_size(path.stat().st_size)})" if path.is_file() else ""
        rows.append(("model", f"{path}{size}"))
    return rows


def _kept(checkpoints: Sequence[CheckpointView]) -> str:
    """` (last: step 400, best: step 300)`."""
    last = max(c.step for c in checkpoints)
    best = [c.step for c in checkpoints if c.best]
    record = f", best: step {best[-1]}" if best else ""
    return f" (last: step {last}{record})"


def _commands(run: RunDir, state: RunState, trained_text: bool) -> list[tuple[str, str]]:
    name = typed(reference(run))
    rows = []
    if state.phase != "finished":
        rows.append(("go on", f"evener resume {name}"))
    if state.phase == "failed":
        rows.append(("look", f"evener logs {name}"))
    if state.checkpoints:
        if trained_text:
            rows.append(("write", f'evener sample {name} --prompt "..."'))
        if state.validation_samples:
            rows.append(("measure", f"evener eval {name}"))
        rows.append(("export", f"evener export {name} --format safetensors"))
    return rows or [("look", f"evener status {name}")]


def reference(run: RunDir) -> str:
    """How another command names this run: by its name where runs usually live, else by folder."""
    usual = contract.RUN_DIR_DEFAULT.absolute()
    return run.name if run.path.absolute().parent == usual else str(run.path)


def _table(title: str, rows: list[tuple[str, str]]) -> list[Text]:
    cells = [[text(("  " + label, "dim")), text(value)] for label, value in rows]
    return [text((title, "bold")), *columns(cells)]
