"""`evener init`: a recipe becomes a job file of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evener.cli import options
from evener.config import load
from evener.errors import BadCommand
from evener.rundir import layout

app = options.verb_app()


@app.command()
def init(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="See: evener recipes")],
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="Otherwise: RECIPE.toml, here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a recipe to a file of your own, comments and all, ready to be changed."""
    chosen = load.recipe(recipe)
    target = path or Path(f"{chosen.name}.toml")
    if target.is_dir():
        target = target / f"{chosen.name}.toml"
    if target.exists() and not force:
        raise BadCommand(
            f"{target} is there already", where="evener init", fix="another PATH, or --force"
        )
    layout.write_atomic(target, chosen.path.read_bytes())
    typer.echo(f"{target} written; start it with: evener run {target}")
