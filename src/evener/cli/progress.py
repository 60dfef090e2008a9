"""`python -m evener.cli.progress RUN`: what `docker compose up` shows, until the run is over."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

import typer

from evener import errors, watch
from evener.cli import console
from evener.cli.lines import Lines
from evener.config.load import job_from_json
from evener.rundir.layout import RunDir
from evener.state import EMPTY, RunState


def main(run: RunDir) -> int:
    """The training's exit status, for those who ask Compose for it."""
    console.prepare_streams()
    signal.signal(signal.SIGTERM, _stay)
    try:
        if watch.present(run).phase == "finished":
            return 0  # that has been said at the start
        state = shown(run)
    except errors.EvenerError as error:
        console.print_error(error)
        return error.exit_status
    return _end(run, state)


def _end(run: RunDir, state: RunState) -> int:
    """The last words, and the status: 0, what a failure says, or that it was stopped."""
    status = 0 if state.phase == "finished" else errors.INTERRUPTED_EXIT_STATUS
    if state.phase == "failed":
        error = errors.from_dict(state.error or {})
        console.print_error(error)
        typer.echo(f"what the ranks wrote is in experiments/{run.name}/logs")
        status = error.exit_status
    typer.echo(_last_words(run, state))
    return status


def _stay(number: int, frame: FrameType | None) -> None:
    """All containers are told to stop at once: how those that train do is still worth showing."""


def shown(run: RunDir) -> RunState:
    state = EMPTY
    with Lines(sys.stdout) as lines:
        for glance in watch.follow(run):
            state = glance.state
            lines.show(glance)
    return state


def _last_words(run: RunDir, state: RunState) -> str:
    own = f"what the script wrote is in experiments/{run.name}/{run.work.name}"
    if state.phase == "finished":
        return f"the model is experiments/{run.name}/{state.exported}" if state.exported else own
    if job_from_json(run.job_file.read_text(encoding="utf-8")).is_torchrun:
        return f"{own}; `docker compose up` starts it again there"
    kept = max((c.step for c in state.checkpoints), default=0)
    where = f"from step {kept}" if kept else "from the beginning: there is no checkpoint yet"
    return f"`docker compose up` goes on {where}"


if __name__ == "__main__":
    sys.exit(main(RunDir(Path(sys.argv[1]))))
