"""What was measured of machines, ranks and links: kept in a file that people may read and edit.

`profiles.json` comes from a bench (`evener bench`) and tells a run, or a plan, what each rank does.
A figure in it was measured, or is null with a note that says why not. Pure: no file is opened here.
"""

from evener.profiles.depends import depends_on
from evener.profiles.fit import Expected, fitting, notes, speeds
from evener.profiles.gather import Occasion, gather, of_machine
from evener.profiles.model import (
    LinkProfile,
    MachineProfile,
    Profiles,
    RankProfile,
    to_text,
)  # fmt: skip
from evener.profiles.read import missing, parse

__all__ = [
    "Expected",
    "LinkProfile",
    "MachineProfile",
    "Occasion",
    "Profiles",
    "RankProfile",
    "depends_on",
    "fitting",
    "gather",
    "missing",
    "notes",
    "of_machine",
    "parse",
    "speeds",
    "to_text",
]
