"""The table [image]: what the containers of a run are made from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from evener.config.section import Section, conflict

# One word to a builder's shell: a package, with a version or a marker, or a URL.
_Package = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+\-\[\],=<>!~@:/*]*$")]


class Image(Section):
    """How the image of a run in containers is built. A run of local processes needs none."""

    base: str | None = Field(
        None, pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$", examples=["python:3.11-slim"],
        description="The image to start from, with Python 3.11 or later, and Debian's packages "
        "where apt is used; Docker's own Python image if not given.",
    )  # fmt: skip
    python: str | None = Field(
        None, pattern=r"^3\.(1[1-9]|[2-9]\d)(\.\d+)?$", examples=["3.12"],
        description="The version of Python: chooses Docker's own image of it as the base. 3.11 if "
        "not given.",
    )  # fmt: skip
    dockerfile: str | None = Field(
        None,
        description="A Dockerfile of your own, built in its folder, instead of all of the above: "
        "it must bring Python, torch and what evener needs. evener and your code are put on top.",
    )
    cuda: str = Field(
        "auto", pattern=r"^(auto|cpu|cu\d{2,3})$", examples=["cu130"],
        description="Which build of torch: auto is cpu where the machine has no NVIDIA GPU, and "
        "what PyPI's torch brings where it has one.",
    )  # fmt: skip
    apt: tuple[_Package, ...] = Field(
        (), description="Debian packages to install as well. nebula is "
        "tried by itself, for the mesh of a pool, but where wheels is given: name it here then.",
    )  # fmt: skip
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

    registry: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?(/[a-z0-9._-]+)*$",
        examples=["registry.lan:5000/mine"],
        description="Where the machines of a Swarm get the image: it is pushed there, and pulled "
        "by its digest. Without it, the manager brings it to those that lack it.",
    )  # fmt: skip

    @property
    def start(self) -> str:
        """The image that ours starts from."""
        return self.base or f"python:{self.python or '3.11'}-slim"

    @model_validator(mode="after")
    def _one_way(self) -> Image:
        if self.base and self.python:
            what = "base and python both say which Python there will be"
            raise conflict(what, ("base", "python"), "keep one of them")
        made = {"base": self.base, "python": self.python, "apt": self.apt, "pip": self.pip}
        made |= {"wheels": self.wheels, "cuda": self.cuda if self.cuda != "auto" else None}
        idle = tuple(name for name, value in made.items() if value)
        if self.dockerfile and idle:
            what = f"dockerfile makes {' and '.join(idle)} needless"
            fix = "what they say belongs into your Dockerfile"
            raise conflict(what, ("dockerfile", *idle), fix)
        return self
