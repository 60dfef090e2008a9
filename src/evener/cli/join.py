"""`evener join`: this machine waits for runs of a pool."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from evener import cluster
from evener.cli import console, options
from evener.pool import boarding, entry, house, joiner, mesh

app = options.verb_app()


@app.command()
def join(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="[CODE]",
            help="What `evener up` has printed. Otherwise: back into the pool it was in.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="HOST[:PORT]", help="Where the pool is, if not as the code says."
        ),
    ] = None,
    foreground: Annotated[
        bool,
        typer.Option("--foreground", help="Stay here until Ctrl-C, as in a container or service."),
    ] = False,
) -> None:
    """Join a pool: this machine waits there and trains when somebody there starts a run.

    Where it has another evener or torch, or none, and a Docker engine, it does so in the image that
    the pool hands on (`evener up --image`).

    It goes on when this terminal is closed, and is back by itself after a sleep. After a restart
    of the machine, `evener join` without a code brings it back; `evener leave` takes it out.
    """
    if foreground:
        joined = entry.join(code, at)
        logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, stream=sys.stderr)
        typer.echo(f"joined as {joined.name}: waiting for work (Ctrl-C ends it)")
        raise typer.Exit(joiner.main(house.joined_folder()))
    aboard = boarding.join(code, at, console.note)
    joined, listed = aboard.joined, aboard.listed
    how = f", in the container {joined.container}" if joined.container else ""
    typer.echo(f"joined the pool of {joined.where} as {joined.name}{how}")
    if listed["why_not"]:
        typer.echo(f"it cannot train there: {listed['why_not']}")
        if not joined.container and (why := mesh.missing()):
            typer.echo(f"a mesh would help, but there can be none here: {why}")
    elif not cluster.from_dict(listed["machine"]).torch:
        typer.echo('it cannot train there: torch is not installed (pip install "evener[train]")')
        typer.echo("or, with a Docker engine: `evener up --image NAME` there; leave and join here")
    else:
        typer.echo("it waits there for work")
    if listed["mesh_by"] == "tcp":
        typer.echo("UDP does not come through to the pool: its mesh goes by TCP, and is slower")
    typer.echo("out again: evener leave")
