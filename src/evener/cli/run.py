"""`evener run`: train a job and show it, or start it and leave it alone."""

from __future__ import annotations

from typing import Annotated

import typer

from evener.api import RunRequest
from evener.cli import options, training

app = options.verb_app()


@app.command()
def run(
    job: Annotated[
        str, typer.Argument(metavar="JOB", help="A job file, a script of yours, or a recipe.")
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGUMENT]...", help="What the script is given."),
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
    root: options.Root = None,
) -> None:
    """Train a job: a job file, a script of yours (train.py), or one of the recipes.

    It trains in processes of its own and goes on when this terminal is closed. Ctrl-C stops it
    with a checkpoint; `evener resume` goes on from there.
    """
    request = RunRequest(
        job=job,
        overrides=(*(override or ()), *options.of_script(arguments)),
        workers=workers,
        name=name,
        debug=debug,
        on=on.value if on else None,
        profiles=profiles,
        root=root,
    )
    training.train(request, detach=detach, dry_run=dry_run, as_json=as_json)
