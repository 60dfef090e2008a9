"""`evener export`: the model as one file that other programs read."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from evener.cli import offline, options, runs
from evener.units import show_size

app = options.verb_app()


class Format(StrEnum):
    """safetensors is safe to open whoever wrote it; pth is what older programs read."""

    safetensors = "safetensors"
    pth = "pth"


@app.command()
def export(
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
