"""The head's routes, all behind one secret: events come in, state and record go out.

    POST /v1/events  {"events": [...]}  ->  {"stored": how many were new,
                                             "asks": [[id, what a person wants of the run], ...]}
    GET  /v1/state                      ->  the state of the run (`state.to_dict`)
    GET  /v1/records?after=N            ->  {"records": [[number, record], ...]}, a page of them
    /v1/folder                              the run's folder, for other machines (`head.home`)

Whatever is wrong is answered by one line of JSON, {"error": ...}; why goes to the head's log.
All other addresses are pages for people (`dashboard`), behind a key that this secret gives.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from evener import errors, events, state
from evener.dashboard.source import Ask
from evener.events import Record
from evener.head import home
from evener.rundir.layout import RunDir

log = logging.getLogger("evener.head")

LIMIT_BYTES = 8 * 2**20
_SEQ_DIGITS = 18  # SQLite's numbers have 63 bits
_STATUS: dict[type[errors.EvenerError], int] = {errors.DiskFull: 507, errors.RunActive: 503}


class Keeper(Protocol):
    """Who keeps the record. Its methods may block; they are called in threads."""

    def take(self, records: list[Record]) -> int: ...

    def state(self) -> state.RunState: ...

    def since(self, seq: int) -> list[tuple[int, Record]]: ...

    @property
    def asks(self) -> list[tuple[str, Ask]]: ...


def build(run: RunDir, keeper: Keeper, secret: str, pages: ASGIApp) -> ASGIApp:
    """The application. Without a secret there is none: nothing listens for everybody."""
    if not secret:
        raise ValueError("the head needs a secret")

    async def intake(request: Request) -> JSONResponse:
        records = _records(await _body(request))
        stored = await run_in_threadpool(keeper.take, records)
        return JSONResponse({"stored": stored, "asks": keeper.asks})

    async def show(request: Request) -> JSONResponse:
        return JSONResponse(state.to_dict(await run_in_threadpool(keeper.state)))

    async def tell(request: Request) -> JSONResponse:
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= _SEQ_DIGITS):
            raise HTTPException(400, "after is not the number of a record")
        page = await run_in_threadpool(keeper.since, int(after))
        return JSONResponse({"records": [[n, events.to_dict(record)] for n, record in page]})

    routes = [
        Route("/v1/events", intake, methods=["POST"]),
        Route("/v1/state", show, methods=["GET"]),
        Route("/v1/records", tell, methods=["GET"]),
        *home.routes(run, _body),
    ]
    handlers: dict[Any, Callable[..., Any]] = {
        HTTPException: _refused,
        UnicodeEncodeError: _unreadable,
        ClientDisconnect: _hung_up,
        errors.EvenerError: _failed,
        Exception: _broken,
    }
    ours = _Guard(Starlette(routes=routes, exception_handlers=handlers), secret)

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        own = scope["type"] == "http" and scope["path"].startswith("/v1/")
        await (ours if own else pages)(scope, receive, send)

    return either


class _Guard:
    """Nothing behind this sees a request without the secret; not even what exists is told."""

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._wanted = f"Bearer {secret}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no lifespan is needed, no websocket is served
        given = [v for name, v in scope["headers"] if name == b"authorization"]
        if len(given) == 1 and hmac.compare_digest(given[0], self._wanted):
            await self._app(scope, receive, send)
        else:
            headers = {"WWW-Authenticate": "Bearer"}
            await _error(401, "the secret of the run is missing or wrong", headers)(
                scope, receive, send
            )


async def _body(request: Request) -> bytes:
    """All of it, or 413 as soon as it is too much, whatever its header promised."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT_BYTES:
            raise HTTPException(413, f"more than {LIMIT_BYTES} bytes at once")
    return bytes(body)


def _records(body: bytes) -> list[Record]:
    """The events of a body, those of kinds that only another version knows left out."""
    try:
        values = json.loads(body)
        found = [events.from_dict(v) for v in values["events"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise HTTPException(400, f"not a list of events: {_one_line(str(error))}") from error
    return [record for record in found if record is not None]


async def _refused(request: Request, error: HTTPException) -> JSONResponse:
    return _error(error.status_code, error.detail, error.headers)


async def _unreadable(request: Request, error: Exception) -> JSONResponse:
    return _error(400, "half of a character (a lone surrogate) in a text")


async def _hung_up(request: Request, error: Exception) -> JSONResponse:
    return _error(400, "the body ended too early")  # for nobody: who posted is gone


async def _failed(request: Request, error: errors.EvenerError) -> JSONResponse:
    log.error("%s", error)
    return _error(_STATUS.get(type(error), 500), f"{error.code}: {_one_line(error.what)}")


async def _broken(request: Request, error: Exception) -> JSONResponse:
    return _error(500, "the head failed; its log says why")  # uvicorn puts it there


def _error(status: int, what: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": what}, status, headers)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
