"""`python -m evener.cli.begin RUN`: before the containers of a compose project train."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from evener.cli import console
from evener.errors import EvenerError
from evener.launch.begin import Begun, begin
from evener.rundir.layout import RunDir
from evener.state import RunState


def main(run: RunDir) -> int:
    console.prepare_streams()
    try:
        begun, before = begin(run)
    except EvenerError as error:
        console.print_error(error)
        return error.exit_status
    model = f"experiments/{run.name}/{before.exported}" if before.exported else ""
    typer.echo(sentence(run.name, begun, before, model))
    return 0


def sentence(name: str, begun: Begun, before: RunState, model: str = "") -> str:
    """What a person reads who typed `docker compose up`, or `docker stack deploy`."""
    match begun:
        case Begun.new:
            return f"{name} begins"
        case Begun.resumed:
            return f"{name} goes on: it was at step {before.step}"
        case Begun.going:
            return f"{name} is training already"
        case Begun.found:
            return f"{name} is training already; its record was elsewhere, and begins anew here"
        case Begun.finished:
            where = f"; the model is {model}" if model else ""
            return f"{name} has finished, at step {before.step}: nothing is left to do{where}"


if __name__ == "__main__":
    sys.exit(main(RunDir(Path(sys.argv[1]))))
