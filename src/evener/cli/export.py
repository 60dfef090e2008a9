"""`evener export`: a model as one file that other programs read, or a job for where evener is not.

The model is what is meant where the first word is no other export's name.
"""

from __future__ import annotations

import json
import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from evener import api
from evener.cli import console, offline, options, runs
from evener.errors import BadCommand
from evener.launch import folder
from evener.launch.compose import RUNS
from evener.units import show_size

MODEL = "model"


class Exports(typer.core.TyperGroup):
    """`evener export RUN` means `evener export model RUN`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [MODEL, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        others = (f"{name} JOB [OPTIONS]" for name in self.commands if name != MODEL)
        formatter.write_usage(ctx.command_path, " | ".join(["[RUN] [OPTIONS]", *others]))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Of the model's export; the others explain themselves."""
        self.commands[MODEL].format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


app = options.verb_app(Exports)


class Format(StrEnum):
    """safetensors is safe to open whoever wrote it; pth is what older programs read."""

    safetensors = "safetensors"
    pth = "pth"


@app.callback()
def _export() -> None:
    """Write a run's model to a file that other programs read, or a job to a folder."""


@app.command()
def model(
    run: options.RunName = None,
    form: Annotated[Format, typer.Option("--format", help="Of the file.")] = Format.safetensors,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Otherwise: in the run's folder."),
    ] = None,
    checkpoint: options.Which = "best",
    as_json: options.AsJson = False,
    root: options.Root = None,
) -> None:
    """Write the model to a file that other programs read."""
    found = runs.resolve(run, root)
    arguments: dict[str, Any] = {
        "format": form.value,
        "checkpoint": runs.checkpoint(checkpoint),
    }
    if output is not None:
        arguments["output"] = str(output.absolute())
    result = offline.ask("export", found.path, arguments)
    if as_json:
        typer.echo(json.dumps({"run": found.name, **result}))
        return
    size = show_size(float(result["size_bytes"]))
    path = output or result["path"]
    typer.echo(f"{path} written ({size}): {found.name} as it was at step {result['step']}")


@app.command()
def compose(
    job: options.JobName,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Otherwise: JOB-compose, here."),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--override", metavar="KEY=VALUE", help="Set a key of the job; may be repeated."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="How many machines train.")
    ] = None,
) -> None:
    """Write a folder for `docker compose up`.

    Neither evener nor Python is needed where it is used. JOB is a job file or a recipe.
    """
    if output is not None and "=" in output.name:
        raise BadCommand(
            f"{output} looks like a key of the job, and -o is --output here",
            where="evener export compose",
            fix=f"--override {output}",
        )
    overrides = tuple(override or ())
    target = (output or Path(f"{Path(job).stem}-compose")).absolute()
    with folder.building(target) as beside:
        request = api.RunRequest(job, overrides, workers, root=beside / RUNS)
        ready = api.prepare_elsewhere(request)
        content = api.image_content(ready)
        reads = folder.fill(beside, folder.Export(ready.name, ready.job, ready.plan, content))
    for note in ready.notes:
        console.note(note)
    for read in (r for r in reads if not Path(r.source).exists()):
        console.note(f"{read.source} is not here; containers will look for it: {read.variable}")
    _tell(target, ready)


def _tell(target: Path, ready: api.Ready) -> None:
    shown = shlex.quote(os.path.relpath(target))
    machines = len(ready.plan.agents)
    many = f"{machines} machine" + ("s" if machines > 1 else "")
    typer.echo(f"{shown} written: {ready.name} on {many}")
    typer.echo(f"  train  cd {shown} && docker compose up")
