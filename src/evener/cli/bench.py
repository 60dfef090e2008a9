"""`evener bench`: measure machines, ranks and links, and keep what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evener import api, bench, errors, events, watch, words
from evener.cli import attach, console, options, profiles
from evener.profiles import Profiles, to_text
from evener.rundir import measured
from evener.watch import Glance

app = options.verb_app()
OUT = Path("profiles.json")
_QUIET = (events.RunStarted, events.RunEnded, events.StopAsked)  # it is no training


@app.command(name="bench")
def measure(
    job: Annotated[
        str | None,
        typer.Argument(
            metavar="[JOB]",
            help="A job file or a recipe. Otherwise: this machine alone.",
        ),
    ] = None,
    override: options.Overrides = None,
    workers: options.Workers = None,
    on: options.On = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the profiles are written.")
    ] = OUT,
    as_json: options.AsJson = False,
) -> None:
    """Measure machines, and how fast each rank computes a job; nothing is trained.

    All ranks measure at the same time, for so they will train. What is found is shown, and
    written to profiles.json: `evener plan` and `evener run --profiles` read it.
    """
    _check_place(out)
    if job is None:
        _check_alone(override, workers, on)
        found = bench.hardware()
    else:
        place = on.value if on else None
        request = api.RunRequest(job, tuple(override or ()), workers, on=place)
        found = _measured(request, quiet=as_json)
    measured.write(out, found)
    if as_json:
        typer.echo(to_text(found), nl=False)
        return
    screen = console.out()
    for line in profiles.tables(found):
        screen.print(line, soft_wrap=True)
    typer.echo(f"\n{out} written")


def _check_place(out: Path) -> None:
    """Before a minute of measuring, not after it."""
    if out.is_dir() or not out.parent.is_dir():
        what = f"{out} is a folder" if out.is_dir() else f"there is no folder {out.parent}"
        raise errors.BadCommand(what, where="--out", fix="name a file in a folder that is there")


def _check_alone(override: list[str] | None, workers: int | None, on: options.Place | None) -> None:
    """Without a job there is nothing to override, and nothing that containers are made of."""
    given = {"-o": override, "--workers": workers, "--on docker": on == options.Place.docker}
    for option in (name for name, value in given.items() if value):
        raise errors.BadCommand(
            f"{option} needs a job", where="evener bench", fix=f"evener bench JOB {option} ..."
        )


def _measured(request: api.RunRequest, *, quiet: bool) -> Profiles:
    ready = bench.prepare(request)
    launcher = api.launcher_for(ready, console.note)
    for note in ready.notes:
        console.note(note)
    with attach.Interrupts() as interrupts:
        try:
            with interrupts.breaking_off():
                run = api.start(ready, launcher)
        except KeyboardInterrupt:
            bench.remove(ready.run)
            raise
        glances, notes = watch.follow(run, launcher), Notes(quiet=quiet)
        state = attach.attend(run, notes, launcher, glances, interrupts, gently=False)
    try:
        return bench.finish(run, ready, launcher, state)
    except errors.EvenerError:
        console.note(f"what its processes wrote is in {run.logs}")
        raise


class Notes:
    """What happens while it is measured, on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, *reason: object) -> None:
        """Nothing is open."""

    def show(self, glance: Glance) -> None:
        for record in glance.records:
            told = None if isinstance(record.event, _QUIET) else words.tell(record)
            if told is not None and not (self._quiet and told.level != "warning"):
                console.note(told.text)

    def say(self, text: str) -> None:
        console.note(text)
