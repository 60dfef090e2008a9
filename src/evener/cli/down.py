"""`evener down`: the pool of this machine ends."""

from __future__ import annotations

from typing import Annotated

import typer

from evener import errors
from evener.cli import options
from evener.pool import client, founding, house

app = options.verb_app()


@app.command()
def down(
    now: Annotated[
        bool, typer.Option("--now", help="Though runs are going: back to their last checkpoint.")
    ] = False,
) -> None:
    """End the pool of this machine: all machines leave it, and nothing of it stays."""
    by = client.owner()
    pool = house.read_pool()
    if pool is not None and pool.runs and not now:
        going = [run["name"] for run in by.runs() if any(w["ended"] is None for w in run["wishes"])]
        if going:
            raise errors.RunActive(
                f"{', '.join(going)} is still going in the pool",
                where="evener down",
                fix=f"`evener stop {going[0]}` stops it with a checkpoint; --now ends all at once",
            )
    founding.end()
    typer.echo("the pool has ended, and its machines have left it")
