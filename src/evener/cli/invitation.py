"""How other machines get in: the line to type, a picture of it, and one for an engine."""

from __future__ import annotations

import io
import shlex
import sys
import time
from collections.abc import Mapping

import typer

from evener import units, versions
from evener.cli import console
from evener.image.parcel import Label
from evener.placement.words import counted
from evener.pool import contained, founding
from evener.pool.contained import Entry

_BLOCKS = "\u2588\u2580\u2584"  # what the picture is drawn with


def show(
    token: Mapping[str, object], code: str, image: str | None, handed_on: Label | None
) -> None:
    """`image` is what a machine without Python is to run, if it is to be told; `handed_on` the one
    that machines get from the pool, if it has one."""
    left_s = float(str(token["expires_at"])) - time.time()
    uses = counted(int(str(token["uses"])), "machine")
    line = f"evener join {code}"
    typer.echo(f"\non each other machine, type (good for {units.show_duration(left_s)}, {uses}):")
    typer.echo(f"\n    {line}\n")
    if console.is_live(console.out()) and _can_draw(sys.stdout.encoding):
        typer.echo(picture(line))
    if handed_on:
        typer.echo("One with a Docker engine, and another evener or torch or none, runs the image")
        typer.echo(f"{handed_on.name}, which it gets from here.\n")
    if handed_on and image in (None, handed_on.name):
        _show_docker(code, handed_on.name, _with_gpus(handed_on.torch))
    elif image:
        _show_docker(code, image, _with_gpus())


def _with_gpus(torch: str = "") -> str:
    """Of an image that is not at hand nobody knows which torch it has."""
    if versions.is_for_processors(torch):
        return f"It uses no GPU: its torch ({torch}) is for processors."
    return "Where that machine has GPUs, `docker run --gpus=all` in the last line."


def _show_docker(code: str, image: str, with_gpus: str) -> None:
    mesh = founding.mesh_for(image)
    where = "with a Docker engine" if mesh == contained.APART else "on Linux with a Docker engine"
    typer.echo(f"without Python, {where}:")
    for line in docker_lines(code, image, mesh):
        typer.echo(f"\n    {shlex.join(line)}")
    if mesh:
        typer.echo("\nThe first of the two has the mesh for the other: it alone may make a network")
        typer.echo("device. To start them again: docker start evener-mesh evener")
    typer.echo(f"\n{with_gpus}")
    typer.echo("There the image must be before:")
    typer.echo(f"    evener image save {image} evener.tar      # there: docker load -i evener.tar")
    typer.echo(f"    evener image push {image} REGISTRY        # and its name there in the line\n")


def show_image(image: str, code: str, where: str) -> None:
    """The same for an image that is handed on by itself."""
    typer.echo(f"handing on {image}, at {where}, until Ctrl-C")
    typer.echo("\non each other machine, type:\n")
    typer.echo(f"    evener image fetch {code}\n")


def docker_lines(code: str, image: str, mesh: str) -> list[tuple[str, ...]]:
    by = Entry(code, image, mesh=mesh)
    lines = [contained.side_line(by), contained.line(by)] if mesh else [contained.line(by)]
    return [("docker", *line) for line in lines]


def picture(text: str) -> str:
    """For the camera of a machine that nobody wants to type on."""
    import segno  # a tenth of the start of a verb, and most need none

    drawn = io.StringIO()
    segno.make(text, error="l").terminal(drawn, border=2, compact=True)
    return drawn.getvalue()


def _can_draw(encoding: str) -> bool:
    try:
        _BLOCKS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
