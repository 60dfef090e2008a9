"""`evener image`: the images that containers run, and what they are made from."""

from __future__ import annotations

import json

import typer

from evener import api
from evener.cli import console, options
from evener.docker import Engine
from evener.image import build as images
from evener.image.build import Content
from evener.launch import planning

app = options.verb_app()


@app.callback()
def _image() -> None:
    """Build, list and remove the images that containers run."""


@app.command()
def build(job: options.JobName, override: options.Overrides = None) -> None:
    """Build the job's image, if what goes into it has changed."""
    content = _content(job, override)
    typer.echo(images.ensure(Engine(), content, console.note))


@app.command()
def show(job: options.JobName, override: options.Overrides = None) -> None:
    """Print the Dockerfiles of the job's image; build nothing."""
    for recipe in images.recipes(_content(job, override)):
        typer.echo(f"# {recipe.tag}\n{recipe.dockerfile}")


@app.command(name="list")
def list_images(as_json: options.AsJson = False) -> None:
    """List the images that evener has built."""
    found = images.built(Engine())
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for each in found:
        typer.echo(f"{each['tag']:40}  {each['size']:>10}  {each['age']}")
    if not found:
        typer.echo("there is no image of evener's on this engine")


@app.command()
def prune() -> None:
    """Remove the images that no container uses. The next run builds its own again."""
    for tag in images.prune(Engine()):
        typer.echo(f"removed {tag}")


def _content(job: str, override: list[str] | None) -> Content:
    request = api.RunRequest(job, tuple(override or ()))
    return api.image_content(api.prepare_elsewhere(request, planning.for_compose))
