"""`evener recipes`: the jobs that come with evener."""

from __future__ import annotations

import json
import shutil
import textwrap

import typer

from evener.cli import options
from evener.config import load

app = options.verb_app()


@app.command()
def recipes(as_json: options.AsJson = False) -> None:
    """List the recipes that come with evener."""
    found = load.recipes()
    if as_json:
        typer.echo(json.dumps([{"name": r.name, "title": r.title} for r in found], indent=2))
        return
    width = max((len(r.name) for r in found), default=0)
    columns = shutil.get_terminal_size().columns
    for recipe in found:
        typer.echo(_entry(f"{recipe.name:{width}}  ", recipe.title, columns))
    typer.echo("\nTrain one: evener run NAME      Make it yours: evener init NAME")


def _entry(label: str, title: str, columns: int) -> str:
    indent = " " * len(label)
    return textwrap.fill(label + title, max(columns, 2 * len(label)), subsequent_indent=indent)
