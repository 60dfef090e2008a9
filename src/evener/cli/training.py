"""A run from what was asked for to its end, or to where this terminal leaves it alone."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from evener import api, contract, errors
from evener.api import RunRequest
from evener.cli import attach, console
from evener.cli.paper import text
from evener.cli.plan import as_json as plan_as_json
from evener.cli.plan import commands, plan_table, variable_table
from evener.cli.summary import reference, summary
from evener.launch.base import Launcher
from evener.launch.places import head_of
from evener.rundir.layout import RunDir
from evener.state import RunState

TEXT_DATA = ("text", "tokens")
Detach = Annotated[bool, typer.Option("-d", "--detach", help="Start it and come back at once.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be started; start nothing.")
]
Debug = Annotated[
    bool,
    typer.Option("--debug", help="NCCL, Gloo and torch say in the ranks' logs what they do."),
]


def train(request: RunRequest, *, detach: bool, dry_run: bool, as_json: bool) -> None:
    """Prepare, start, show, sum up; raises what the run failed of."""
    ready = api.prepare(request)
    launcher = api.launcher_for(ready, console.note)
    if dry_run:
        _show_plan(ready, launcher, as_json)
        return
    for note in ready.notes:
        console.note(note)
    with attach.Interrupts() as interrupts:
        with interrupts.breaking_off():
            started = api.start(ready, launcher)
        if started.name != ready.name:
            console.note(f"somebody was faster: this run is {started.name}")
        page = _page(started, launcher)
        if detach:
            _leave(started, page, as_json)
            return
        if page and not as_json:
            console.note(f"live page: {page}")
        state = attach.follow(started, attach.view(as_json), launcher, interrupts)
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


def _page(started: RunDir, launcher: Launcher) -> str:
    """What a person opens in a browser; empty where the head does not answer (any more)."""
    head = head_of(started, launcher)
    return contract.page_address(head.address, head.secret) if head else ""


def _leave(started: RunDir, page: str, as_json: bool) -> None:
    if as_json:
        told = {"run": started.name, "path": str(started.path), "page": page}
        typer.echo(json.dumps(told))
        return
    name = reference(started)
    typer.echo(f"{started.name} is training; this terminal is free")
    if page:
        typer.echo(f"  page  {page}")
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
