"""`evener report`: a run as one HTML file, to read, to print, to send to somebody."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from evener import contract, watch
from evener import report as reports
from evener import state as state_of
from evener.cli import options, runs
from evener.errors import BadCommand, StoreDamaged
from evener.launch.base import Launcher
from evener.launch.places import launcher_of
from evener.report import Material, Told
from evener.rundir import layout
from evener.rundir.history import History
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.state import RunState
from evener.units import show_size
from evener.words import Teller

app = options.verb_app()
NAME = "report.html"
POINTS, TIMES, TIMELINE = 400, 150, 600  # so that a page stays under a megabyte
CURVES, MOST_CURVES = ("loss", "validation.loss", "samples_per_s", "seconds"), 24


@app.command()
def report(
    run: options.RunName = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help=f"Otherwise: {NAME} in its folder."),
    ] = None,
    root: options.Root = None,
) -> None:
    """Write a run as one HTML file with its charts: nothing to load, nothing to run in it."""
    found = runs.resolve(run, root)
    path = _target(found, output)
    text = reports.page(gathered(found))
    layout.write_atomic(path, text)
    typer.echo(f"{path} written ({show_size(len(text.encode()))})")


def _target(run: RunDir, output: Path | None) -> Path:
    path = output if output is not None else run.path / NAME
    if path.is_dir() or not path.absolute().parent.is_dir():
        what = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise BadCommand(f"{path} {what}", where="--output", fix="name a file to write")
    return path


def gathered(run: RunDir) -> Material:
    """All that a report is made of."""
    with _record(run, launcher_of(run)) as (state, store):
        history = History(store)
        others = [name for name in history.names() if name not in (*CURVES, "samples", "skipped")]
        names = (*CURVES, *others)[:MOST_CURVES]
        return Material(
            state=state,
            curves={name: history.series(name, points=POINTS) for name in names},
            timings=history.timings(points=TIMES),
            told=_told(history),
            job=_job(run),
        )


@contextlib.contextmanager
def _record(run: RunDir, launcher: Launcher) -> Iterator[tuple[RunState, Store]]:
    """The state and the record it comes from. Where the head alone may open the record's file, it
    is asked for all of it, which is kept for the moment in a file of our own."""
    if launcher.head(run) is None:
        state = watch.present(run, launcher)
        with Store.open(run.db, write=False) as store:
            yield state, store
        return
    with (
        tempfile.TemporaryDirectory(prefix="evener-") as folder,
        Store.open(Path(folder) / contract.DB_NAME, write=True) as store,
    ):
        state = state_of.EMPTY
        for glance in watch.look(run, launcher):
            state = glance.state
            store.append(glance.records)
        yield state, store


def _told(history: History) -> list[Told]:
    teller, told = Teller(), list[Told]()
    for _, record in history.timeline(limit=TIMELINE):
        kind, step = type(record.event).__name__, getattr(record.event, "step", None)
        told += [
            Told(said.time, said.text, said.level, kind, step)
            for said in teller.tell(record)
            if not said.quiet or kind == "RunStarted"
        ]
    return told


def _job(run: RunDir) -> dict[str, Any]:
    """As it was understood when the run began; a run may have lost that and still be shown."""
    try:
        job = layout.read_json(run.job_file)
    except StoreDamaged:
        return {}
    return job if isinstance(job, dict) else {}
