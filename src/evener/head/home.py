"""The run's folder for agents that have it not on their own disk: they fetch, and bring home.

    GET  /v1/home                       ->  {"home": which folder of the run this is}
    GET  /v1/folder                     ->  what is here: names with sizes (`freight.listing`)
    GET  /v1/folder/NAME                ->  the file
    PUT  /v1/folder/NAME?at=N  (bytes)  ->  {"length": how long it is now}
    POST /v1/folder/NAME?sha256=...     ->  {"whole": whether all of it is here, and in its place}
                                            of what a script wrote also how the file is known
                                            here "now", and how it was "before"

What may be fetched and brought, and under which names, `rundir.freight` says.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from evener import contract
from evener.rundir import freight, outputs
from evener.rundir.layout import RunDir

HOME, PATH, FILE = "/v1/home", "/v1/folder", "/v1/folder/{name:path}"
_DIGITS = 18


def routes(run: RunDir, body: Callable[[Request], Awaitable[bytes]]) -> list[Route]:
    """`body` reads a request's, up to what a head takes at once."""

    one_at_a_time, takes_turns = threading.Lock(), threading.Lock()

    def identity() -> str:
        with one_at_a_time:  # the first one gives the folder its name
            return freight.identity(run)

    def put(name: str, at: int, piece: bytes) -> int:
        with takes_turns:  # two may bring the same
            return freight.take(run, name, at, piece)

    async def say(request: Request) -> JSONResponse:
        return JSONResponse({"home": await run_in_threadpool(identity)})

    async def tell(request: Request) -> JSONResponse:
        return JSONResponse(await run_in_threadpool(freight.listing, run))

    async def send(request: Request) -> Response:
        file = freight.to_send(run, request.path_params["name"])
        if file is None:
            raise HTTPException(404, "there is no such file to fetch")
        return FileResponse(file)

    async def take(request: Request) -> JSONResponse:
        name, at = request.path_params["name"], request.query_params.get("at", "")
        if not freight.takes(name):
            raise HTTPException(404, "nothing of that name is taken")
        if not (at.isascii() and at.isdigit() and len(at) <= _DIGITS):
            raise HTTPException(400, "at is not the number of a byte")
        piece = await body(request)
        length = await run_in_threadpool(put, name, int(at), piece)
        return JSONResponse({"length": length})

    async def settle(request: Request) -> JSONResponse:
        name, sha256 = request.path_params["name"], request.query_params.get("sha256", "")
        if outputs.takes(name):
            settled = await run_in_threadpool(outputs.settle, run, name, sha256)
            told = {} if settled is None else asdict(settled)
            return JSONResponse({"whole": settled is not None, **told})
        return JSONResponse({"whole": await run_in_threadpool(_settle, run, name, sha256)})

    return [
        Route(HOME, say, methods=["GET"]),
        Route(PATH, tell, methods=["GET"]),
        Route(FILE, send, methods=["GET"]),
        Route(FILE, take, methods=["PUT"]),
        Route(FILE, settle, methods=["POST"]),
    ]


def _settle(run: RunDir, name: str, sha256: str) -> bool:
    if name == contract.EXPORT_NAME:
        return freight.settle_export(run, sha256)
    if not freight.is_checkpoint(name):
        raise HTTPException(404, "nothing of that name is sent whole")
    from evener.config.load import job_from_json  # heavy, and most heads never need it

    job = job_from_json(run.job_file.read_text(encoding="utf-8"))
    return freight.settle_checkpoint(run, name, job.checkpoint)
