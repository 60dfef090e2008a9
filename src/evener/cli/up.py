"""`evener up`: a pool on this machine, and the line that joins others."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from evener.cli import console, invitation, options, roll
from evener.launch import pool as launched
from evener.pool import client, entry, founding, house, paths

app = options.verb_app()


class Network(StrEnum):
    """auto is directly, or by the mesh where only that reaches more of them."""

    auto = paths.AUTO
    host = paths.HOST
    mesh = paths.MESH


@app.command()
def up(
    port: options.ServedPort = None,
    address: options.ServedAddress = "",
    network: Annotated[
        Network, typer.Option("--network", help="By which machines of a run speak with each other.")
    ] = Network.auto,
    announce: Annotated[
        bool | None,
        typer.Option(
            "--announce/--no-announce",
            help="Tell the LAN where the pool is: then it may change its address.",
            show_default="announce, or as it was",
        ),
    ] = None,
    expires: options.Expires = "1h",
    uses: options.Uses = 10,
    image: Annotated[
        str | None,
        typer.Option(
            "--image",
            metavar="IMAGE",
            help="Of this machine's engine: others get it from the pool, and run it, where they "
            "have another evener or torch, or none.",
        ),
    ] = None,
) -> None:
    """Make this machine a pool that others join; prints the line to type on them.

    The pool goes on when this terminal is closed, and this machine is its first member. Called
    again it prints a new code; after a restart it starts the same pool again.
    """
    lasts_s = options.seconds(expires)
    known = house.read_pool()
    entry.check_free(known.pin if known else "")
    handed_on = founding.hand_on(image, console.note)
    pool, before = founding.found(address, port, network.value, announce)
    by = client.owner()
    if not roll.own_works():
        entry.work_detached(entry.join_own(pool))
    if not before:
        launched.go_on()
    token, code = founding.new_code(pool, by, lasts_s, uses)
    typer.echo(f"the pool is up, at {pool.where}" + (" (it was before)" if before else ""))
    for line in roll.lines(by.members()):
        typer.echo("  " + line)
    invitation.show(token, code, image, handed_on)
    typer.echo("then, here: evener run JOB --on pool")
