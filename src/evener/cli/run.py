"""`evener run`: train a job and show it, or start it and leave it alone."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from evener import api, errors
from evener.cli import attach, console, options
from evener.cli.paper import text
from evener.cli.plan import as_json as plan_as_json
from evener.cli.plan import commands, plan_table, variable_table
from evener.cli.summary import reference, summary
from evener.launch.base import Launcher
from evener.rundir.layout import RunDir
from evener.state import RunState

app = options.verb_app()
TEXT_DATA = ("text", "tokens")


@app.command()
def run(
    job: Annotated[
        str, typer.Argument(metavar="JOB", help="A job file, a recipe, or a run to --resume.")
    ],
    override: options.Overrides = None,
    workers: options.Workers = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the run's folder.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that has not finished.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("-d", "--detach", help="Start it and come back at once.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be started; start nothing.")
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="NCCL, Gloo and torch say in the ranks' logs what they do."),
    ] = False,
    as_json: options.AsJson = False,
    on: options.On = None,
    profiles: options.Profiles = None,
    root: options.Root = None,
) -> None:
    """Train a job: a job file, or one of the recipes (evener recipes).

    It trains in processes of its own and goes on when this terminal is closed. Ctrl-C stops it
    with a checkpoint; --resume goes on from there.
    """
    request = api.RunRequest(
        job=job,
        overrides=tuple(override or ()),
        workers=workers,
        name=name,
        resume=resume,
        debug=debug,
        on=on.value if on else None,
        profiles=profiles,
        root=root,
    )
    ready = api.prepare(request)
    launcher = api.launcher_for(ready, console.note)
    if dry_run:
        _show_plan(ready, launcher, as_json)
        return
    for note in ready.notes:
        console.note(note)
    started = api.start(ready, launcher)
    if started.name != ready.name:
        console.note(f"somebody was faster: this run is {started.name}")
    if detach:
        _leave(started, as_json)
        return
    state = attach.follow(started, attach.view(as_json), launcher)
    if not launcher.alive(started):  # who only lost sight of a run must not remove it
        launcher.clean(started)
    if not as_json:
        _sum_up(started, state, ready.job.data.name in TEXT_DATA)
    _end(state)


def _show_plan(ready: api.Ready, launcher: Launcher, as_json: bool) -> None:
    rendered = api.render(ready, launcher)
    if as_json:
        typer.echo(json.dumps(plan_as_json(ready, rendered), indent=2))
        return
    screen = console.out()
    verb = "would go on" if ready.resumed else "would start"
    lines = [text((ready.name, "bold"), f"  {verb} in {ready.run.path}"), text()]
    lines += [*plan_table(ready), text()]
    if ready.profiles is not None:
        known = f"known of all ranks, measured {ready.profiles.measured_at}"
        lines += [text(("speeds  ", "dim"), known), text()]
    lines += [*variable_table(ready), text()]
    lines += [text(("note ", "yellow"), note) for note in ready.notes]
    lines += [text(), *commands(rendered)]
    for line in lines:
        screen.print(line, soft_wrap=True)


def _leave(started: RunDir, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"run": started.name, "path": str(started.path)}))
        return
    name = reference(started)
    typer.echo(f"{started.name} is training; this terminal is free")
    typer.echo(f"  look  evener status -f {name}")
    typer.echo(f"  read  evener logs -f {name}")
    typer.echo(f"  stop  evener stop {name}")


def _sum_up(started: RunDir, state: RunState, trained_text: bool) -> None:
    screen = console.out()
    for line in summary(started, state, trained_text=trained_text):
        screen.print(line, soft_wrap=True)


def _end(state: RunState) -> None:
    """0 for a run that finished; what its failure says; 130 for one that was stopped."""
    if state.phase == "failed":
        raise errors.from_dict(state.error or {})
    if state.phase != "finished":
        raise typer.Exit(errors.INTERRUPTED_EXIT_STATUS)
