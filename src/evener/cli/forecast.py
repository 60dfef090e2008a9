"""`evener plan`: who would train on what, and what it would come to; nothing is started."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from evener import api, errors, placement, words
from evener.cli import console, options
from evener.cli.paper import columns, text
from evener.cli.plan import plan_table
from evener.placement import Forecast
from evener.units import show_count, show_interval

app = options.verb_app()
USUAL = Path("profiles.json")
OF_TORCHRUN = "how its work is shared is the script's own affair"
UNKNOWN = "how fast the ranks are is not known: `evener bench {job}` measures it"
OF_LOOP = "how fast the ranks are at a script is measured while it trains, and not before"


@app.command()
def plan(
    job: options.JobName,
    override: options.Overrides = None,
    workers: options.Workers = None,
    on: options.On = None,
    profiles: options.Profiles = None,
    as_json: options.AsJson = False,
) -> None:
    """Show who would train on what, how a step would be shared, and what each rank adds.

    The speeds come from --profiles, or from ./profiles.json where it is there and fits.
    """
    place = on.value if on else None
    request = api.RunRequest(job, tuple(override or ()), workers, on=place, profiles=profiles)
    ready, note = _ready(request)
    found = placement.forecast(ready.job, ready.plan, ready.profiles) if ready.profiles else None
    if as_json:
        typer.echo(json.dumps(as_dict(ready, found, note), indent=2))
        return
    screen = console.out()
    unknown = UNKNOWN.format(job=job)
    if ready.job.script.path:
        unknown = OF_TORCHRUN if ready.job.is_torchrun else OF_LOOP
    for line in _lines(ready, found, note or unknown):
        screen.print(line, soft_wrap=True)


def _ready(request: api.RunRequest) -> tuple[api.Ready, str]:
    """With the profiles that were named, or the usual ones; else why those are not used."""
    ready = api.prepare(request)
    if request.profiles is not None or not USUAL.is_file():
        return ready, ""
    try:
        return api.profiled(ready, USUAL), ""
    except (errors.ProfilesBroken, errors.ProfilesUnfit) as error:
        return ready, f"{USUAL} is not used: {error.what} (next: {error.fix})"


def as_dict(ready: api.Ready, found: Forecast | None, note: str) -> dict[str, Any]:
    return {
        "job": ready.job.name or ready.name,
        "global_batch": ready.job.train.global_batch if ready.job.batch_known else None,
        "plan": placement.to_dict(ready.plan),
        "notes": [*ready.notes, *filter(None, [note])],
        "forecast": asdict(found) if found else None,
    }


def _lines(ready: api.Ready, found: Forecast | None, unknown: str) -> list[Text]:
    lines = [*plan_table(ready), text()]
    if found is None:
        lines.append(text(("note ", "yellow"), unknown))
    else:
        lines += [*_parts(found), text()]
        if len(found.machines) > 1:
            lines += [*_machines(found), text()]
        lines += _whole(ready, found)
    return lines + [text(("note ", "yellow"), note) for note in ready.notes]


def _parts(found: Forecast) -> list[Text]:
    heads = ("rank", "share", "alone", "adds", "")
    rows = [[text((head, "dim")) for head in heads]]
    for part in found.parts:
        alone = f"{show_count(part.alone_samples_per_s)} samples/s"
        style = "" if part.share else "yellow"
        cells = (str(part.rank), str(part.share), alone, _adds(part.adds), part.reason)
        rows.append([text((cell, style)) for cell in cells])
    return columns(rows, right=(0, 1, 2, 3))


def _machines(found: Forecast) -> list[Text]:
    rows = [[text((head, "dim")) for head in ("machine", "ranks", "share", "adds", "")]]
    for each in found.machines:
        ranks = words.ranks(each.ranks).partition(" ")[2]
        out = "" if each.share else "left out"
        cells = (each.machine, ranks, str(each.share), _adds(each.adds), out)
        rows.append([text(cell) for cell in cells])
    return columns(rows, right=(2, 3))


def _adds(gain: float | None) -> str:
    return "-" if gain is None else f"{gain:+.1%}".replace("%", " %")


def _whole(ready: api.Ready, found: Forecast) -> list[Text]:
    step = f"{show_interval(found.step_s)} for {ready.job.train.global_batch} samples: "
    step += f"{show_interval(found.compute_s)} to compute"
    if found.exchange_s is None:
        step += f"; exchanging gradients is {found.exchange_note}"
    elif found.exchange_s:
        exchange = show_interval(found.exchange_s)
        step += f", at most {exchange} to exchange gradients ({found.exchange_note})"
    part = found.samples_per_s / found.alone_samples_per_s
    ceiling = found.ceiling_samples_per_s / found.alone_samples_per_s
    alone = show_count(found.alone_samples_per_s)
    rows = [
        ("a step", step),
        ("speed", f"{show_count(found.samples_per_s)} samples/s"),
        ("", f"{part * 100:.0f} % of the {alone} samples/s that all ranks do alone, added up"),
        ("", f"{ceiling * 100:.0f} % is the most that any cut of this batch could come to"),
    ]
    return columns([[text((label, "dim")), text(value)] for label, value in rows])
