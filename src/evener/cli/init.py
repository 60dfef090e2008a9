"""`evener init`: a job file of one's own, from a recipe or around a script."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evener.cli import draft, options
from evener.config import load, scripted
from evener.errors import BadCommand
from evener.probe import probe
from evener.rundir import layout

app = options.verb_app()


@app.command()
def init(
    source: Annotated[
        str, typer.Argument(metavar="RECIPE|SCRIPT", help="See: evener recipes; or a .py of yours.")
    ],
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="Otherwise: its name with .toml, here.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a job file of your own, comments and all, ready to be changed: a recipe's, or one for
    a script, with what can be seen of it filled in."""
    if Path(source).suffix.lower() in scripted.SUFFIXES:
        target = _target(Path(source).stem, path, force=force)
        text = draft.job_file(Path(source), target, probe())
    else:
        chosen = load.recipe(source)
        target = _target(chosen.name, path, force=force)
        text = chosen.text
    layout.write_atomic(target, text)
    typer.echo(f"{target} written; start it with: evener run {target}")


def _target(name: str, path: Path | None, *, force: bool) -> Path:
    target = path or Path(f"{name}.toml")
    if target.is_dir():
        target = target / f"{name}.toml"
    if target.exists() and not force:
        raise BadCommand(
            f"{target} is there already", where="evener init", fix="another PATH, or --force"
        )
    return target
