"""The table [image]: what the containers of a run are made from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from evener.config.section import Section

# One word to a builder's shell: a package, with a version or a marker, or a URL.
_Package = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+\-\[\],=<>!~@:/]*$")]


class Image(Section):
    """How the image of a run in containers is built. A run of local processes needs none."""

    base: str = Field(
        "python:3.11-slim", pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$",
        description="The image to start from; it needs Python 3.11 or later and apt.",
    )  # fmt: skip
    cuda: str = Field(
        "auto", pattern=r"^(auto|cpu|cu\d{2,3})$", examples=["cu130"],
        description="Which build of torch: auto is cpu where the machine has no NVIDIA GPU, and "
        "what PyPI's torch brings where it has one.",
    )  # fmt: skip
    apt: tuple[_Package, ...] = Field((), description="Debian packages to install as well.")
    pip: tuple[_Package, ...] = Field((), description="Python packages to install as well.")
    wheels: str | None = Field(
        None,
        description="A folder of wheels to install from, torch's included, where no registry is "
        "reached; relative to the job file's folder.",
    )
    include: tuple[str, ...] = Field(
        (),
        description="Files and folders of your own code, relative to the job file's folder. The "
        "modules that the job names are found without.",
    )
