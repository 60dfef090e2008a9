"""What a person wants of a run: its head is asked, as the buttons of its page do it."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

from evener import contract, errors
from evener.dashboard.source import Ask
from evener.launch.base import HeadPlace
from evener.rundir.layout import RunDir
from evener.wire.asking import Asking

ASK_S = 5.0


def ask(run: RunDir, place: HeadPlace, what: Ask) -> None:
    """Agents hear it in the answer to their next post. Raises RunVanished where nobody does."""
    key = contract.page_key(place.secret)
    try:
        with contextlib.closing(Asking(place.address, key, ASK_S)) as asking:
            asking.ask("POST", f"/api/runs/{quote(run.name)}/{what}")
    except OSError as error:
        raise unheard(run, f"at {place.address}: {error}") from error


def unheard(run: RunDir, why: str) -> errors.RunVanished:
    return errors.RunVanished(
        f"the head, which passes it on to all machines, does not take it ({why})",
        where=run.name,
        fix=f"try again in a moment; `evener stop {run.name} --now` ends the run without it",
    )
