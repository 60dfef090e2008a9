"""`evener dashboard`: the live page of a run, or of all there are, in the browser."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from evener import contract
from evener.cli import console, options, runs
from evener.config.schema import Dashboard
from evener.contract import LOOPBACK
from evener.launch.places import head_of
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.viewer.folder import Folder
from evener.viewer.serve import listening, serve

app = options.verb_app()
KEY_BYTES = 16
RUN_HELP = "A run's name or folder, or a folder of runs. Otherwise: all runs, as a list."


@app.command()
def dashboard(
    run: Annotated[str | None, typer.Argument(metavar="[RUN|FOLDER]", help=RUN_HELP)] = None,
    host: Annotated[
        str,
        typer.Option("--host", help="The address to listen on: others than this machine's own "
                     "make the pages reachable by others who have the key."),
    ] = LOOPBACK,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Otherwise: the first free "
                                 f"one from {Dashboard().port} on.")
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the address only.")] = False,
    root: options.Root = None,
) -> None:  # fmt: skip
    """Open the page of a run that goes on, is over, or was copied here; or the list of all.

    A run that goes on has a page of its own: its address is printed. All else is served by this
    command, until Ctrl-C.
    """
    folder, only = _meant(run, runs.root_of(root))
    own = head_of(only) if only is not None and host == LOOPBACK and port is None else None
    if own is not None:
        _show(contract.page_address(own.address, own.secret), open_it=not no_open)
        return
    key = secrets.token_urlsafe(KEY_BYTES)
    with Folder(folder, only) as shown, listening(
        host, port or Dashboard().port, exactly=port is not None
    ) as door:  # fmt: skip
        _show(f"http://{_reached(host)}:{door.getsockname()[1]}/?key={key}", open_it=not no_open)
        if not _is_loopback(host):
            console.note(_warning(door, key))
        console.note("Ctrl-C ends the server; runs go on")
        serve(shown, key, door)


def _meant(name: str | None, root: Path) -> tuple[Path, RunDir | None]:
    """The folder of runs, and the one of them that is wanted."""
    if name is None:
        if not layout.runs(root):
            runs.latest(root)  # says what to do where there is none
        return root, None
    if layout.runs(Path(name)):
        return Path(name), None
    found = layout.find(root, name)
    return found.path.parent, found


def _show(address: str, *, open_it: bool) -> None:
    typer.echo(address)
    if open_it and console.is_live(console.out()):
        webbrowser.open(address)  # where there is none, the address stands there


def _warning(door: socket.socket, key: str) -> str:
    place = f"http://{socket.gethostname()}:{door.getsockname()[1]}/?key={key}"
    return (
        f"from other machines: {place}\nWhoever has this address sees these runs and can stop "
        "them. It goes over the network as it is: in one that you do not trust, tunnel it (ssh -L)"
    )


def _reached(host: str) -> str:
    """What a browser on this machine calls it."""
    if host in ("0.0.0.0", "::", ""):
        return LOOPBACK
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
