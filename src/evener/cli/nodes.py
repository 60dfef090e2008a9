"""`evener nodes`: the machines of a pool."""

from __future__ import annotations

import json
from typing import Any

import typer

from evener import errors
from evener.cli import options, roll
from evener.pool import boarding, client, entry, house
from evener.wire import calls

app = options.verb_app()


@app.command()
def nodes(as_json: options.AsJson = False) -> None:
    """List the machines of the pool, and what each of them does."""
    members = _members()
    if as_json:
        typer.echo(json.dumps(members, indent=2))
        return
    for line in roll.lines(members):
        typer.echo(line)


def _members() -> list[dict[str, Any]]:
    """As its own machine sees it, or one that has joined."""
    joined = boarding.membership()
    if house.read_pool() is not None or joined is None:
        return client.owner().members()
    try:
        return entry.members(client.Client(calls.parse(joined.servers[0]), joined.secret))
    except (OSError, client.AnsweredError) as error:
        raise errors.PoolAway(
            f"the pool does not answer: {error}",
            where=joined.where,
            fix="`evener up` there starts it again",
        ) from error
