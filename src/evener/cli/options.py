"""Options and arguments that several verbs share, so that they mean the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import typer.core

from evener import errors, units


class Place(StrEnum):
    """Where a run can live."""

    local = "local"
    docker = "docker"
    swarm = "swarm"
    pool = "pool"


AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON, one document or line.")]
Root = Annotated[
    Path | None,
    typer.Option("--dir", metavar="FOLDER", help="Where runs live. Otherwise: experiments."),
]
ServedPort = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="Otherwise: 7077, or the next.")
]
ServedAddress = Annotated[
    str, typer.Option("--address", help="Of this machine: others reach it there alone.")
]
RunName = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]", help="A run's name or folder. Otherwise: the one started last."
    ),
]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="A job file or a recipe.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "-o", "--override", metavar="KEY=VALUE", help="Set a key of the job; may be repeated."
    ),
]
Which = Annotated[
    str,
    typer.Option("--checkpoint", metavar="best|last|STEP", help="The checkpoint to use."),
]
On = Annotated[
    Place | None,
    typer.Option("--on", help="Where it runs: here, in containers, on a Swarm, in a pool."),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="How many ranks train.")]
Profiles = Annotated[
    Path | None,
    typer.Option("--profiles", metavar="FILE", help="What `evener bench` measured of the ranks."),
]


Expires = Annotated[
    str, typer.Option("--expires", metavar="TIME", help="How long the code lets machines in.")
]
ForDocker = Annotated[
    str | None,
    typer.Option(
        "--image", metavar="IMAGE", help="Print the line for an engine, too, that runs this image."
    ),
]
Uses = Annotated[int, typer.Option("--uses", min=1, help="How many machines the code lets in.")]


def seconds(text: str) -> float:
    """What was typed for a time."""
    try:
        return units.parse_duration_s(text)
    except ValueError as error:
        raise errors.BadCommand(str(error), where="--expires", fix="--expires 30m") from error


def verb_app(cls: type[typer.core.TyperGroup] = typer.core.TyperGroup) -> typer.Typer:
    """The form of every verb's app: plain help that any terminal and any pipe can show."""
    return typer.Typer(
        cls=cls,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
