"""`evener image`: the images that containers run, what they are made from, and their ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from evener import api, units
from evener.cli import console, invitation, options
from evener.docker import Engine
from evener.image import archive
from evener.image import build as images
from evener.image.build import Content
from evener.launch import planning

app = options.verb_app()

Image = Annotated[
    str, typer.Argument(metavar="IMAGE", help="As `evener image list` shows it, or another.")
]


@app.callback()
def _image() -> None:
    """Build, list, move and remove the images that containers run."""


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


@app.command()
def save(
    image: Image,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A tar is written there.")],
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            metavar="IMAGE",
            help="Leave out the layers that this one has too: it must be where the file goes.",
        ),
    ] = None,
) -> None:
    """Write an image to a file, for a machine without a network: `evener image load` there."""
    saved = archive.save(Engine(), image, file, without or ())
    typer.echo(f"{file}: {units.show_size(saved.size_bytes)}")
    if saved.left_out:
        of = f"{saved.left_out} of {saved.layers} layers"
        console.note(f"{of} are left out: it can be loaded where {' or '.join(without or ())} is")
    elif without:
        console.note(f"no layer is left out: {image} has none of {' or '.join(without)}")


@app.command()
def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `save` has written it.")],
) -> None:
    """Give an engine the image in a file."""
    for name in archive.load(Engine(), file):
        typer.echo(name)


@app.command()
def push(
    image: Image,
    registry: Annotated[
        str,
        typer.Argument(
            metavar="[REGISTRY]", help="ghcr.io/you, say. Otherwise: as the image is called."
        ),
    ] = "",
) -> None:
    """Push an image to a registry, with what `docker login` knows; prints its name there."""
    typer.echo(
        images.pushed(Engine(), image, registry.removeprefix("https://").rstrip("/"), console.note)
    )


@app.command()
def pull(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="As `push` has printed it.")],
) -> None:
    """Pull an image from a registry; prints the name by which runs here find it."""
    typer.echo(images.pulled(Engine(), image, console.note))


@app.command()
def serve(
    image: Image,
    port: options.ServedPort = None,
    address: options.ServedAddress = "",
) -> None:
    """Hand an image on over the LAN, until Ctrl-C; prints the line to type on other machines.

    They fetch the layers that they lack from this machine, encrypted, and from nobody else. Neither
    engine needs a registry, or other settings, for that; nothing of it stays here.
    """
    from evener.pool import handing  # a server, which other verbs do without

    with handing.stand(Engine(), image, address, port, console.note) as stand:
        invitation.show_image(stand.label.name, stand.code, stand.pool.where)
        stand.serve()


@app.command()
def fetch(
    code: Annotated[str, typer.Argument(metavar="CODE", help="What `serve` has printed.")],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="HOST[:PORT]", help="Where that is, if not as the code says."),
    ] = None,
) -> None:
    """Fetch the image that another machine serves; prints its name, once the engine here has it.

    The code of a pool (`evener up --image`) does too. Layers that are here do not come again; what
    breaks off goes on where it was when this is typed again.
    """
    from evener.pool import fetching

    typer.echo(fetching.fetched(code, at, console.note))


def _content(job: str, override: list[str] | None) -> Content:
    request = api.RunRequest(job, tuple(override or ()))
    return api.image_content(api.prepare_elsewhere(request, planning.for_compose))
