"""`evener ckpt`: which checkpoints a run has, whether they are whole, and which may go."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from evener import words
from evener.cli import console, options, runs
from evener.cli.paper import columns, text
from evener.config.load import job_from_json
from evener.config.schema import Checkpoint
from evener.errors import CheckpointDamaged, NoCheckpoint, RunActive
from evener.launch.places import launcher_of
from evener.rundir import checkpoints
from evener.rundir.checkpoints import Entry
from evener.rundir.layout import RunDir
from evener.units import show_duration, show_size

app = options.verb_app()


@app.callback()
def _ckpt() -> None:
    """List a run's checkpoints, verify them, remove some."""


@app.command(name="list")
def list_checkpoints(
    run: options.RunName = None, as_json: options.AsJson = False, root: options.Root = None
) -> None:
    """List the checkpoints of a run, oldest first."""
    found = runs.resolve(run, root)
    entries, aside = checkpoints.entries(found.checkpoints), checkpoints.aside(found.checkpoints)
    config = _config(found)
    best = [e.step for e in checkpoints.ranked(entries, config.metric)[:1]]
    if as_json:
        rows = [_plain(entry) | {"best": entry.step in best} for entry in entries]
        damaged = [folder.name for folder in aside]
        typer.echo(json.dumps({"run": found.name, "checkpoints": rows, "damaged": damaged}))
        return
    _show(entries, best, config.metric)
    for folder in aside:
        console.note(f"damaged, set aside: {folder}")
    if not entries:
        typer.echo(f"{found.name} has no checkpoint")


def _show(entries: Sequence[Entry], best: Sequence[int], metric: str) -> None:
    now, screen = time.time(), console.out()
    cells = [[text((word, "dim")) for word in ("step", metric, "size", "age", "")]]
    for each in entries:
        shown = words.metric(metric, each.metric) if each.metric is not None else "-"
        age = show_duration(now - (each.path / checkpoints.COMMIT).stat().st_mtime)
        mark = "best" if each.step in best else ""
        row = (str(each.step), shown.removeprefix(metric + " "), show_size(each.size_bytes), age)
        cells.append([*(text(word) for word in row), text((mark, "green"))])
    for line in columns(cells, right=(0, 2, 3)) if entries else ():
        screen.print(line, soft_wrap=True)


@app.command()
def verify(
    run: options.RunName = None,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="best|last|STEP", help="Only this one.")
    ] = None,
    as_json: options.AsJson = False,
    root: options.Root = None,
) -> None:
    """Read every byte of a run's checkpoints and hold it against what was written."""
    found = runs.resolve(run, root)
    said = {folder: _why_damaged(folder) for folder in _meant(found, checkpoint)}
    if as_json:
        rows = [{"checkpoint": f.name, "whole": not why, "why": why} for f, why in said.items()]
        typer.echo(json.dumps({"run": found.name, "checkpoints": rows}))
    else:
        for folder, why in said.items():
            typer.echo(f"{folder.name}  {why or 'whole'}")
    damaged = [folder for folder, why in said.items() if why]
    if damaged:
        some = damaged[0].name if len(damaged) == 1 else f"{len(damaged)} checkpoints"
        are = "is" if len(damaged) == 1 else "are"
        raise CheckpointDamaged(
            f"{some} of {found.name} {are} damaged",
            where=str(found.checkpoints),
            fix="a run that goes on takes the newest one that is whole, and sets these aside",
        )


def _why_damaged(folder: Path) -> str:
    try:
        checkpoints.verify(folder)
    except CheckpointDamaged as error:
        return error.what
    return ""


def _meant(run: RunDir, wanted: str | None) -> list[Path]:
    """All of them, those with an unreadable manifest too; or the one that was asked for."""
    if wanted is None:
        found = checkpoints.folders(run.checkpoints)
        if not found:
            raise NoCheckpoint(f"{run.name} has no checkpoint", where=str(run.checkpoints))
        return found
    chosen = runs.checkpoint(wanted)
    return [checkpoints.choose(run.checkpoints, chosen, _config(run).metric).path]


@app.command()
def prune(
    run: options.RunName = None,
    keep_last: Annotated[int | None, typer.Option(min=1, help="The newest that stay.")] = None,
    keep_best: Annotated[int | None, typer.Option(min=0, help="The best that stay.")] = None,
    aside: Annotated[bool, typer.Option("--damaged", help="Also what was set aside.")] = False,
    root: options.Root = None,
) -> None:
    """Remove what the job of an ended run does not keep, or all but as many as you say."""
    found = runs.resolve(run, root)
    if launcher_of(found).alive(found):
        raise RunActive(
            f"{found.name} is still going, and keeps its checkpoints itself",
            where=str(found.path),
            fix="checkpoint.keep_last and keep_best in the job say how many stay",
        )
    given = {"keep_last": keep_last, "keep_best": keep_best}
    config = _config(found).model_copy(update={k: v for k, v in given.items() if v is not None})
    keep = checkpoints.to_keep(checkpoints.entries(found.checkpoints), config)
    gone = [entry.path for entry in checkpoints.prune(found.checkpoints, keep)]
    for folder in checkpoints.aside(found.checkpoints) if aside else ():
        checkpoints.drop(folder)
        gone.append(folder)
    for folder in gone:
        typer.echo(f"removed {folder.name}")
    if not gone:
        typer.echo("there is nothing to remove")


def _config(run: RunDir) -> Checkpoint:
    return job_from_json(run.job_file.read_text(encoding="utf-8")).checkpoint


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "step": entry.step,
        "path": str(entry.path),
        "size_bytes": entry.size_bytes,
        "metric": entry.metric,
    }
