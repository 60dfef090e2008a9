"""`evener run`: train a job and show it, or start it and leave it alone."""

from __future__ import annotations

from typing import Annotated

import typer

from evener.api import RunRequest
from evener.cli import options, scripts, training

app = options.verb_app()


@app.command()
def run(
    job: Annotated[
        str, typer.Argument(metavar="JOB", help="A job file, a recipe, or a script (.py).")
    ],
    args: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGS]...", help="What a script is given."),
    ] = None,
    override: options.Overrides = None,
    workers: options.Workers = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the run's folder.")] = None,
    detach: training.Detach = False,
    dry_run: training.DryRun = False,
    debug: training.Debug = False,
    as_json: options.AsJson = False,
    on: options.On = None,
    profiles: options.Profiles = None,
    nproc: Annotated[
        int | None, typer.Option("--nproc", min=1, help="Of a script: processes on each machine.")
    ] = None,
    root: options.Root = None,
) -> None:
    """Train a job: a job file, a recipe (evener recipes), or a script of your own.

    A script has a loop over evener.training, or is one for torchrun and runs unchanged:
    `evener run train.py -- --its --own args`.

    It trains in processes of its own and goes on when this terminal is closed. Ctrl-C stops it
    with a checkpoint; `evener resume` goes on from there.
    """
    request = RunRequest(
        job=job,
        overrides=(*(override or ()), *scripts.overrides(args, nproc)),
        workers=workers,
        name=name,
        debug=debug,
        on=on.value if on else None,
        profiles=profiles,
        root=root,
    )
    training.train(request, detach=detach, dry_run=dry_run, as_json=as_json)
