"""How other machines get in: the line to type, a picture of it, and one for an engine."""

from __future__ import annotations

import io
import shlex
import sys
import time
from collections.abc import Mapping

import typer

from evener import contract, units
from evener.cli import console
from evener.placement.words import counted

_BLOCKS = "\u2588\u2580\u2584"  # what the picture is drawn with


def show(token: Mapping[str, object], code: str, image: str | None) -> None:
    """`image` is what a machine without Python is to run, if it is to be told."""
    left_s = float(str(token["expires_at"])) - time.time()
    uses = counted(int(str(token["uses"])), "machine")
    line = f"evener join {code}"
    typer.echo(f"\non each other machine, type (good for {units.show_duration(left_s)}, {uses}):")
    typer.echo(f"\n    {line}\n")
    if console.is_live(console.out()) and _can_draw(sys.stdout.encoding):
        typer.echo(picture(line))
    if image is not None:
        typer.echo("or, on one with a Docker engine on Linux (and --gpus=all where it has GPUs):")
        typer.echo(f"\n    {shlex.join(docker_line(code, image))}\n")


def docker_line(code: str, image: str) -> tuple[str, ...]:
    """The machine's own network, its ranks' memory, a volume for what it must not forget, and
    nothing else: no rights, nothing of the machine's disk."""
    home = contract.IMAGE_RUNS
    return (
        *("docker", "run", "--detach", "--init", "--name=evener", "--restart=on-failure"),
        *("--network=host", "--shm-size=1g", "--user=65534:65534", "--cap-drop=ALL"),
        *("--security-opt=no-new-privileges", f"--volume=evener:{home}"),
        *(f"--env=XDG_STATE_HOME={home}", f"--env={contract.CACHE_VARIABLE}={home}/cache"),
        *(image, "python", "-P", "-m", "evener", "join", "--foreground", code),
    )


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
