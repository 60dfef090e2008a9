"""`evener token`: the codes that let machines into the pool of this one."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from evener import errors, units
from evener.cli import console, invitation, options
from evener.placement.words import counted
from evener.pool import client, founding, house

app = options.verb_app()


@app.callback()
def _token() -> None:
    """Make, list and revoke the codes that let machines into the pool."""


@app.command()
def new(
    expires: options.Expires = "1h", uses: options.Uses = 10, image: options.ForDocker = None
) -> None:
    """Make a code, and print the line to type on another machine."""
    lasts_s = options.seconds(expires)
    by = client.owner()
    pool = house.read_pool()
    assert pool is not None
    handed_on = founding.hand_on(None, console.note)
    invitation.show(*founding.new_code(pool, by, lasts_s, uses), image, handed_on)


@app.command(name="list")
def show(as_json: options.AsJson = False) -> None:
    """List the codes that were made, and what has become of them; not their secrets."""
    tokens = client.owner().tokens()
    if as_json:
        typer.echo(json.dumps(tokens, indent=2))
        return
    for token in tokens:
        left_s = token["expires_at"] - time.time()
        state = f"lets in {counted(token['uses'], 'machine')}, for {units.show_duration(left_s)}"
        if token["revoked"] or token["uses"] <= 0 or left_s <= 0:
            state = "revoked" if token["revoked"] else "used up" if left_s > 0 else "expired"
        made = units.show_duration(time.time() - token["made_at"])
        typer.echo(f"{token['id']}  made {made} ago  {state}")


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="As `evener token list` shows it.")],
) -> None:
    """Let nobody in any more by this code. Who is in stays in."""
    if not client.owner().revoke(token):
        raise errors.CodeRefused(
            f"there is no code {token!r}", where="evener token", fix="evener token list"
        )
    typer.echo(f"{token} lets nobody in any more")
