"""`evener ps`: the runs that are going, or all that there are, in a table."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from evener import watch, words
from evener.cli import console, options, runs
from evener.cli.paper import columns, fit, text
from evener.cli.render import PHASES
from evener.errors import StoreDamaged
from evener.launch.places import launcher_of
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.state import EMPTY, RunState
from evener.units import show_duration

app = options.verb_app()
HEADINGS = ("run", "phase", "step", "loss", "samples/s", "age")


@dataclass(frozen=True, slots=True)
class Row:
    """One run; `readable` is false where its record is damaged."""

    run: RunDir
    state: RunState
    readable: bool = True


@app.command()
def ps(
    everything: Annotated[bool, typer.Option("-a", "--all", help="Also those that ended.")] = False,
    as_json: options.AsJson = False,
    root: options.Root = None,
) -> None:
    """List the runs that are going, or all."""
    folder = runs.root_of(root)
    known = layout.runs(folder)
    chosen = [run for run in known if everything or launcher_of(run).alive(run)]
    rows = [_row(run) for run in chosen]
    if as_json:
        typer.echo(json.dumps([_plain(row) for row in rows], indent=2))
        return
    if rows:
        _show(rows)
    elif known:
        typer.echo(f"no run is going; evener ps --all lists the {len(known)} that ended")
    else:
        typer.echo(f"there is no run under {folder}; start one: evener run JOB")


def _row(run: RunDir) -> Row:
    try:
        return Row(run, watch.present(run))
    except StoreDamaged:
        return Row(run, EMPTY, readable=False)


def _show(rows: list[Row]) -> None:
    screen = console.out()
    now = time.time()
    cells = [[text((heading, "dim")) for heading in HEADINGS]]
    for row in sorted(rows, key=lambda r: r.state.begun_at or 0.0):
        state = row.state
        total = f" of {state.total_steps}" if state.total_steps else ""
        speed = state.samples_per_s if not state.ended else None
        phase = (state.phase, PHASES[state.phase]) if row.readable else ("unreadable", "red")
        cells.append(
            [
                text(row.run.name),
                text(phase),
                text(f"{state.step}{total}"),
                text(words.number(state.loss) if state.loss is not None else "-"),
                text(words.number(speed, 3) if speed else "-"),
                text(show_duration(now - state.begun_at) if state.begun_at else "-"),
            ]
        )
    marks = console.marks_of(screen)
    for line in columns(cells, right=(3, 4)):
        screen.print(fit(line, screen.width, marks), soft_wrap=True)


def _plain(row: Row) -> dict[str, Any]:
    state = row.state
    return {
        "run": row.run.name,
        "path": str(row.run.path),
        "phase": state.phase if row.readable else None,
        "step": state.step,
        "total_steps": state.total_steps,
        "loss": state.loss,
        "samples_per_s": state.samples_per_s,
        "begun_at": state.begun_at,
        "ended_at": state.ended_at,
    }
