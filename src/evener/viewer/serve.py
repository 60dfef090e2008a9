"""The server of `evener dashboard`: the pages of a folder of runs, until it is interrupted."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket

from evener import errors
from evener.dashboard.app import build
from evener.viewer.folder import Folder
from evener.web import Server

TRIED = 20  # ports, where no certain one is wanted
GOODBYE_S = 1  # for requests under way; a page's stream does not end by itself


def listening(host: str, port: int, *, exactly: bool) -> socket.socket:
    """On `port` of `host`, or, unless it must be that one, on the first free one after it."""
    for tried in range(port, port + (1 if exactly else TRIED)):
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, tried), family=family, backlog=128)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise errors.BadCommand(
                    f"nobody can listen on {host}:{tried}: {error.strerror or error}",
                    where="--host, --port",
                    fix="an address of this machine, and a port above 1023",
                ) from error
    raise errors.PortTaken(
        f"port {port} is taken" if exactly else f"ports {port} to {port + TRIED - 1} are taken",
        where=host,
        fix="name another with --port",
    )


def serve(folder: Folder, key: str, door: socket.socket) -> None:
    """Until Ctrl-C, which lets requests under way be answered; a second one does not."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    server = Server(build(folder, key), GOODBYE_S)
    before = signal.signal(signal.SIGINT, server.handle_exit)
    try:
        asyncio.run(server.serve(sockets=[door]))
    finally:
        signal.signal(signal.SIGINT, before)
