"""`evener status`: one run as it is now, in a still picture."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Annotated

import typer

from evener import errors, watch
from evener import state as state_of
from evener.cli import console, options, runs
from evener.cli.attach import view
from evener.cli.render import EVENTS, Canvas, picture
from evener.cli.trails import Trails
from evener.rundir.layout import RunDir
from evener.state import RunState
from evener.words import Story

app = options.verb_app()


LEAVING = "Ctrl-C leaves; the run goes on"


@app.command()
def status(
    run: options.RunName = None,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on looking until the run is over.")
    ] = False,
    as_json: options.AsJson = False,
    root: options.Root = None,
) -> None:
    """Show one run as it is now: going, stopped, finished or failed."""
    found = runs.resolve(run, root)
    state = _watched(found, as_json) if follow else _seen(found, as_json)
    if state.error and not as_json:
        console.print_error(errors.from_dict(state.error))


def _seen(run: RunDir, as_json: bool) -> RunState:
    """One look."""
    state, story, trails = state_of.EMPTY, Story(), Trails()
    for glance in watch.look(run):
        state = glance.state
        story.add(glance.records)
        trails.add(glance.records)
    if as_json:
        typer.echo(json.dumps(state_of.to_dict(state), indent=2))
        return state
    screen = console.out()
    canvas = Canvas(screen.width, console.marks_of(screen))
    for line in picture(state, story.last(EVENTS), canvas, time.time(), trails=trails):
        screen.print(line, soft_wrap=True)
    return state


def _watched(run: RunDir, as_json: bool) -> RunState:
    """As the terminal that started it sees it, but Ctrl-C ends the looking only."""
    state = state_of.EMPTY
    with contextlib.suppress(KeyboardInterrupt), view(as_json, hint=LEAVING) as shown:
        for glance in watch.follow(run):
            state = glance.state
            shown.show(glance)
    return state
