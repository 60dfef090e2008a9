"""`evener swarm`: a Docker Swarm for those who have none yet, and the machines of one."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from evener import units
from evener.cli import console, options
from evener.cli.runs import root_of
from evener.docker import Engine, swarm
from evener.launch import adoption
from evener.placement.words import cores, counted

app = options.verb_app()


@app.callback()
def _swarm() -> None:
    """Make a Docker Swarm of several machines, and look at it."""


@app.command()
def init(
    address: Annotated[
        str | None,
        typer.Option(
            "--address", help="Of this machine, as the others reach it; where it has several."
        ),
    ] = None,
) -> None:
    """Make this machine the manager of a new Swarm; prints the line that joins another."""
    engine = Engine()
    swarm.init(engine, address)
    typer.echo("this machine manages a Swarm now; on each of the others, type")
    typer.echo(f"\n    {swarm.join_command(engine)}\n")
    typer.echo("then, here: evener run JOB --on swarm")


@app.command()
def join_command() -> None:
    """Print the line that joins another machine; type it there."""
    typer.echo(swarm.join_command(Engine()))


@app.command()
def adopt(
    name: Annotated[str, typer.Argument(metavar="RUN", help="As it was called where it began.")],
    folder: options.Root = None,
) -> None:
    """Give a run that goes on a home here, where the manager that it was started on is gone.

    Type it on another manager. The run's folder is here from then on, with its record and newest
    checkpoint, and with its page: all other commands work as where it was started.
    """
    run = adoption.adopt(name, root_of(folder), console.note, Engine())
    typer.echo(f"{run.name} is at home here: {run.path}")
    typer.echo(f"then: evener status {run.name}")


@app.command()
def nodes(as_json: options.AsJson = False) -> None:
    """List the machines of the Swarm, and why none could train there."""
    found = swarm.nodes(Engine())
    if as_json:
        typer.echo(json.dumps([asdict(node) for node in found], indent=2))
        return
    for node in found:
        memory = units.show_size(node.memory_bytes)
        state = node.why_not or ("this machine" if node.here else "ready")
        gpus = counted(len(node.gpus), "GPU") if node.gpus else ""
        typer.echo(f"{node.name:24}  {cores(node.cpus):>12}  {memory:>9}  {gpus:>6}  {state}")
