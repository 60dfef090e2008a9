"""`evener leave`: this machine is no longer in a pool."""

from __future__ import annotations

import typer

from evener.cli import options
from evener.pool import boarding

app = options.verb_app()


@app.command()
def leave() -> None:
    """Take this machine out of its pool. What trains here leaves its run, which goes on."""
    left = boarding.leave()
    typer.echo(f"{left.name} has left the pool of {left.where}")
    if left.container:
        typer.echo("its image stays on the engine: evener image prune")
