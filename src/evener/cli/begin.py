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
    typer.echo(_sentence(run.name, begun, before))
    return 0


def _sentence(name: str, begun: Begun, before: RunState) -> str:
    """What a person reads who typed `docker compose up`."""
    match begun:
        case Begun.new:
            return f"{name} begins"
        case Begun.resumed:
            return f"{name} goes on: it was at step {before.step}"
        case Begun.going | Begun.found:
            return f"{name} is training already"
        case Begun.finished:
            model = (
                f"; the model is experiments/{name}/{before.exported}" if before.exported else ""
            )
            return f"{name} has finished, at step {before.step}: nothing is left to do{model}"


if __name__ == "__main__":
    sys.exit(main(RunDir(Path(sys.argv[1]))))
