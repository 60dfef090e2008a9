"""`evener config`: what a job file may say, and what a job means once everything is filled in."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from evener.cli import options
from evener.config import load

app = options.verb_app()


@app.callback()
def _config() -> None:
    """Show what a job means, and what a job file may say."""


@app.command()
def schema() -> None:
    """Print the JSON schema of a job file, for editors."""
    typer.echo(json.dumps(load.json_schema(), indent=2))


@app.command()
def show(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job file or a recipe.")],
    override: options.Overrides = None,
) -> None:
    """Print the job with every default filled in. The output is a valid job file itself."""
    loaded = load.load_job(job, tuple(override or ()))
    typer.echo(load.job_to_json(loaded.job), nl=False)
