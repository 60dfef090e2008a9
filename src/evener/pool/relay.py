"""What agents say to the head of their run, passed on: it answers on this machine's loopback alone.

So one port is open for all runs, and a head knows nothing of pools. Who does not show the secret of
a run is told nothing of it.
"""

from __future__ import annotations

import contextlib
import hmac
import http.client
import logging
from collections.abc import Awaitable, Callable, Iterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from evener.pool.roll import Roll, Run
from evener.wire.frames import split_address

log = logging.getLogger("evener.pool")

METHODS = ["GET", "POST", "PUT"]
BODY_BYTES = 8 * 2**20  # what a head takes at once
HEAD_S = 30.0
PIECE_BYTES = 2**20
PASSED = ("content-type", "range")  # of a request
_OURS = "v1/"  # what agents call; a run's pages are for the machine of the head


class NobodyError(Exception):
    """Who asks may not, or there is nothing of that name."""


def bearer(request: Request) -> str:
    """The secret that is shown; empty for none."""
    given = request.headers.getlist("authorization")
    kind, _, secret = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return secret if kind == "Bearer" and secret.isascii() else ""


async def body(request: Request, most: int) -> bytes:
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > most:
            raise ValueError(f"more than {most} bytes at once")
    return bytes(found)


def handler(roll: Roll) -> Callable[[Request], Awaitable[Response]]:
    async def pass_on(request: Request) -> Response:
        run = roll.runs.get(request.path_params["key"])
        if run is None or not hmac.compare_digest(bearer(request), run.secret):
            raise NobodyError
        if not request.path_params["path"].startswith(_OURS):
            raise NobodyError
        said = await body(request, BODY_BYTES)
        return await run_in_threadpool(_ask, run, request, said)

    return pass_on


def _ask(run: Run, request: Request, said: bytes) -> Response:
    connection = http.client.HTTPConnection(*split_address(run.head), timeout=HEAD_S)
    path = request.scope["raw_path"].decode().partition(f"/runs/{run.key}")[2]
    query = request.url.query
    headers = {name: text for name in PASSED if (text := request.headers.get(name))}
    headers["Authorization"] = f"Bearer {run.secret}"
    try:
        connection.request(request.method, path + f"?{query}" * bool(query), said, headers)
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        log.info("the head of %s does not answer: %s", run.name, error)
        return JSONResponse({"error": "the head of the run does not answer"}, 503)
    told = {"content-type": answer.getheader("content-type", "application/json")}
    if length := answer.getheader("content-length"):
        told["content-length"] = length
    return StreamingResponse(_pieces(connection, answer), answer.status, told)


def _pieces(
    connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
) -> Iterator[bytes]:
    with contextlib.closing(connection):
        while piece := answer.read(PIECE_BYTES):
            yield piece
