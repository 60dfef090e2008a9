"""`evener stop`: end a run from any shell, with a checkpoint unless it must be at once."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from evener import watch
from evener.cli import options, runs
from evener.cli.summary import reference
from evener.launch.base import Launcher
from evener.launch.places import launcher_of
from evener.rundir.layout import RunDir

app = options.verb_app()
WAIT_S = 120.0  # a checkpoint of a large model to a slow disk


@app.command()
def stop(
    run: options.RunName = None,
    now: Annotated[
        bool, typer.Option("--now", help="At once: back to the last checkpoint there is.")
    ] = False,
    root: options.Root = None,
) -> None:
    """Stop a run: it finishes its step, writes a checkpoint and ends. Nothing is lost."""
    found = runs.resolve(run, root)
    launcher = launcher_of(found)
    if not launcher.alive(found):
        launcher.clean(found)
        state = watch.present(found, launcher)
        typer.echo(f"{found.name} is not going: {state.phase} at step {state.step}")
        return
    launcher.stop(found, now=now)
    how = " at once" if now else ", with a checkpoint"
    own = watch.present(found, launcher).is_torchrun and not now
    typer.echo(f"{found.name} is asked to stop{'' if own else how}")
    if not _gone(found, launcher):
        typer.echo(f"it is still busy; look with: evener status {reference(found)}")
        return
    launcher.clean(found)
    state = watch.present(found, launcher)
    typer.echo(f"{found.name} {state.phase} at step {state.step}")
    if state.phase != "finished":
        typer.echo(f"go on with: evener resume {reference(found)}")


def _gone(run: RunDir, launcher: Launcher) -> bool:
    deadline = time.monotonic() + WAIT_S
    while launcher.alive(run):
        if time.monotonic() > deadline:
            return False
        time.sleep(watch.POLL_S)
    return True
