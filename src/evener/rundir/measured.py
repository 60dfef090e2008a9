"""Profiles on disk: a person's own file, and the part of one that a run was started with."""

from __future__ import annotations

from pathlib import Path

from evener import profiles
from evener.errors import NotPermitted, ProfilesBroken
from evener.profiles import Profiles
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.shares import Speed


def read(file: Path) -> Profiles:
    """Raises ProfilesBroken where it is not there, or not as it must be."""
    try:
        return profiles.parse(file.read_text(encoding="utf-8-sig"), str(file))
    except UnicodeDecodeError as error:
        fix = "save it as UTF-8 in your editor"
        raise ProfilesBroken(f"{file} is not UTF-8 text", where=str(file), fix=fix) from error
    except PermissionError as error:
        fix = "check its owner"
        raise NotPermitted(f"{file} may not be read", where=str(file), fix=fix) from error
    except OSError as error:
        raise profiles.missing(str(file)) from error


def write(file: Path, found: Profiles) -> None:
    layout.write_atomic(file, profiles.to_text(found))


def keep(run: RunDir, found: Profiles | None) -> None:
    """What the run's ranks will read; nothing of an earlier start stays."""
    if found is None:
        run.profiles_file.unlink(missing_ok=True)
    else:
        write(run.profiles_file, found)


def speeds_of(run: RunDir) -> dict[int, Speed]:
    """By rank, of those that were measured before the run began."""
    return profiles.speeds(read(run.profiles_file)) if run.profiles_file.is_file() else {}
