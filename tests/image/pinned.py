"""What images pin: their own packages and what these need, at the versions that are tested here.

    python -m tests.image.pinned

Nothing more, for a pin also binds what a script asks for: its Transformers are its own affair.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from evener.image import recipe

TESTED = Path(__file__).parents[2] / "constraints.txt"


def pins(tested: str) -> str:
    """Of the lines of constraints.txt, those of an image."""
    lines = tested.splitlines()
    wanted = {str(canonicalize_name(name)) for name in recipe.PACKAGES}
    while more := {*_needs(wanted)} - wanted:
        wanted |= more
    kept = (line for line in lines if canonicalize_name(line.partition("==")[0]) in wanted)
    return "\n".join(["# Made by `make constraints`, from constraints.txt.", *kept, ""])


def _needs(names: Collection[str]) -> Iterator[str]:
    for each in names:
        for line in requires(each) or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                yield canonicalize_name(need.name)


if __name__ == "__main__":
    sys.stdout.write(pins(TESTED.read_text("utf-8")))
