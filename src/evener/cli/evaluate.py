"""`evener eval`: a checkpoint on the whole validation set, every sample once."""

from __future__ import annotations

import json
from typing import Any

import typer

from evener import words
from evener.cli import offline, options, runs

app = options.verb_app()


@app.command()
def evaluate(
    run: options.RunName = None,
    checkpoint: options.Which = "best",
    as_json: options.AsJson = False,
    root: options.Root = None,
) -> None:
    """Measure a checkpoint of a run on the whole validation data."""
    found = runs.resolve(run, root)
    arguments = {"checkpoint": runs.checkpoint(checkpoint)}
    result = offline.ask("eval", found.path, arguments)
    if as_json:
        typer.echo(json.dumps({"run": found.name, **result}))
        return
    rows = list(_rows(found.name, result))
    width = max(len(label) for label, _ in rows)
    for label, value in rows:
        typer.echo(f"{label:{width}}  {value}")


def _rows(name: str, result: dict[str, Any]) -> list[tuple[str, str]]:
    """The loss first, then whatever else was measured."""
    rows = [("run", name)]
    for key, value in result.items():
        if isinstance(value, float):
            shown = words.metric(key, value).removeprefix(key + " ")
        else:
            shown = str(value)
        rows.append((key, shown))
    return rows
