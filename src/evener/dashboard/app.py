"""The pages of runs and their interface, behind one key. What it answers is in `openapi`.

    /  /runs/NAME/              pages, and /static/... for them
    /api/runs...                what they show, as JSON; stop and checkpoint, by POST
    /metrics                    the same for Prometheus

Whatever is wrong is answered by one line of JSON, {"error": ...}.
"""

from __future__ import annotations

import html
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from evener import errors
from evener.dashboard import answers, archive, logs, openapi, prometheus, stream
from evener.dashboard.answers import MOST_ITEMS, MOST_NAMES, MOST_POINTS
from evener.dashboard.guard import Guard, token_of
from evener.dashboard.source import ASKS, Runs, RunSource
from evener.rundir import checkpoints, layout
from evener.state import RunState

log = logging.getLogger("evener.dashboard")

STATIC = Path(__file__).parent / "static"
_HIGHEST = 2**63 - 1  # SQLite's numbers, and what a file's position may be
_METRICS = "text/plain; version=0.0.4; charset=utf-8"


def build(runs: Runs, key: str) -> ASGIApp:
    """The application: without the key it tells nobody anything."""
    pages = _Pages(runs, token_of(key))
    one = "/api/runs/{name}"
    routes = [
        Route("/", pages.front),
        Route("/runs/{name}/", pages.run),
        Route("/api/runs", pages.runs),
        Route(f"{one}/state", pages.state),
        Route(f"{one}/stream", pages.stream),
        Route(f"{one}/series", pages.series),
        Route(f"{one}/timings", pages.timings),
        Route(f"{one}/timeline", pages.timeline),
        Route(f"{one}/job", pages.job),
        Route(f"{one}/logs", pages.logs),
        Route(f"{one}/logs/{{file}}", pages.log),
        Route(f"{one}/checkpoints/{{step}}", pages.checkpoint),
        Route(f"{one}/{{ask}}", pages.act, methods=["POST"]),
        Route("/metrics", pages.metrics),
        Route("/openapi.json", pages.description),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    handlers: dict[Any, Callable[..., Any]] = {
        HTTPException: _refused,
        errors.EvenerError: _failed,
        Exception: _broken,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), key)


class _Pages:
    """Each method answers one route."""

    def __init__(self, runs: Runs, token: str) -> None:
        self._runs = runs
        self._html = {
            name: (STATIC / name).read_text("utf-8").replace("{{token}}", html.escape(token))
            for name in ("index.html", "run.html")
        }

    # ---------------------------------------------------------------------------- pages

    async def front(self, request: Request) -> Response:
        alone = await run_in_threadpool(self._runs.alone)
        if alone is not None:
            return RedirectResponse(f"/runs/{quote(alone)}/", 303)
        return HTMLResponse(self._html["index.html"])

    async def run(self, request: Request) -> Response:
        name = request.path_params["name"]
        if address := await run_in_threadpool(self._runs.elsewhere, name):
            return RedirectResponse(address, 303)
        await self._run(request)
        return HTMLResponse(self._html["run.html"])

    # ----------------------------------------------------------------------------- runs

    async def runs(self, request: Request) -> Response:
        return JSONResponse({"runs": await run_in_threadpool(self._summaries)})

    def _summaries(self) -> list[dict[str, Any]]:
        return [
            answers.summary(s.run.name, s.state, live=s.live, size_bytes=layout.size_bytes(s.run))
            for s in self._runs.states()
        ]

    async def state(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(stream.state_of, await self._run(request)))

    async def stream(self, request: Request) -> Response:
        source = await self._run(request)
        after = request.headers.get("last-event-id")
        seq = None if after is None else _whole(after, "Last-Event-ID", 0, _HIGHEST)
        return StreamingResponse(
            _quiet(stream.follow(source, seq)),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},  # a proxy in between is not to hold it back
        )

    async def series(self, request: Request) -> Response:
        source = await self._run(request)
        names = request.query_params.getlist("name")
        if len(names) > MOST_NAMES:
            raise HTTPException(400, f"more than {MOST_NAMES} names")
        first, last, points = _range(request, 1200)

        def load() -> dict[str, Any]:
            history = source.history()
            found = (history.series(name, first, last, points) for name in dict.fromkeys(names))
            return {"series": answers.of_series(found), "names": history.names()}

        return JSONResponse(await run_in_threadpool(load))

    async def timings(self, request: Request) -> Response:
        source, asked = await self._run(request), _range(request, 600)
        found = await run_in_threadpool(lambda: source.history().timings(*asked))
        return JSONResponse(answers.of_timings(found))

    async def timeline(self, request: Request) -> Response:
        source = await self._run(request)
        before = _number(request, "before", None, _HIGHEST)
        limit = _number(request, "limit", 300, MOST_ITEMS)
        assert limit is not None
        records = await run_in_threadpool(lambda: source.history().timeline(before, limit))
        return JSONResponse(answers.timeline(records))

    async def job(self, request: Request) -> Response:
        run = (await self._run(request)).run
        files = {"job": run.job_file, "plan": run.plan_file}

        def load() -> dict[str, Any]:
            return {k: layout.read_json(f) if f.is_file() else None for k, f in files.items()}

        return JSONResponse(await run_in_threadpool(load))

    # ----------------------------------------------------------------------------- files

    async def logs(self, request: Request) -> Response:
        source = await self._run(request)
        return JSONResponse({"logs": await run_in_threadpool(logs.listed, source.run)})

    async def log(self, request: Request) -> Response:
        path = logs.named((await self._run(request)).run, request.path_params["file"])
        if path is None:
            raise HTTPException(404, "there is no such log")
        start = _number(request, "from", 0, _HIGHEST, least=-_HIGHEST)
        length = _number(request, "bytes", logs.PIECE_BYTES, logs.MOST_BYTES)
        text = request.query_params.get("find")
        assert start is not None
        assert length is not None
        if text:
            return JSONResponse(await run_in_threadpool(logs.find, path, text, start))
        return JSONResponse(await run_in_threadpool(logs.piece, path, start, length))

    async def checkpoint(self, request: Request) -> Response:
        run = (await self._run(request)).run
        step = _whole(request.path_params["step"], "step", 0, _HIGHEST)
        folder = checkpoints.folder_of(run.checkpoints, step)
        try:
            await run_in_threadpool(checkpoints.entry, folder)
        except errors.CheckpointDamaged as error:
            raise HTTPException(404, "there is no such checkpoint, or it is damaged") from error
        name = f'attachment; filename="{folder.name}.tar"'
        return StreamingResponse(
            archive.tar(folder),
            media_type="application/x-tar",
            headers={"Content-Disposition": name},
        )

    # ---------------------------------------------------------------------------- others

    async def act(self, request: Request) -> Response:
        source, wanted = await self._run(request), request.path_params["ask"]
        ask = next((known for known in ASKS if known == wanted), None)
        if ask is None:
            raise HTTPException(404, "nobody does that")
        if not (source.live and source.acts):
            raise HTTPException(409, "the run does not go on: nobody hears it")
        await run_in_threadpool(source.ask, ask)
        return JSONResponse({"asked": ask}, 202)

    async def metrics(self, request: Request) -> Response:
        text = await run_in_threadpool(lambda: prometheus.text(self._states(), time.time()))
        return PlainTextResponse(text, media_type=_METRICS)

    def _states(self) -> Iterator[RunState]:
        """Of a run that goes on all that is known, of others what a list shows."""
        for listed in self._runs.states():
            found = self._runs.find(listed.run.name) if listed.live else None
            yield found.state() if found else listed.state

    async def description(self, request: Request) -> Response:
        return JSONResponse(openapi.DESCRIPTION)

    async def _run(self, request: Request) -> RunSource:
        found = await run_in_threadpool(self._runs.find, request.path_params["name"])
        if found is None:
            raise HTTPException(404, "there is no such run")
        return found


async def _quiet(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What has begun cannot be answered with an error any more: it ends, and the log says why."""
    try:
        async for event in events:
            yield event
    except errors.EvenerError as error:
        log.error("%s", error)


def _range(request: Request, points: int) -> tuple[int, int | None, int]:
    first = _number(request, "first", 0, _HIGHEST)
    wanted = _number(request, "points", points, MOST_POINTS, least=2)
    assert first is not None
    assert wanted is not None
    return first, _number(request, "last", None, _HIGHEST), wanted


def _number(
    request: Request, name: str, usual: int | None, most: int, least: int = 0
) -> int | None:
    text = request.query_params.get(name)
    return usual if text is None else _whole(text, name, least, most)


def _whole(text: str, name: str, least: int, most: int) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise HTTPException(400, f"{name} is no whole number")
    if not least <= int(text) <= most:
        raise HTTPException(400, f"{name} is not between {least} and {most}")
    return int(text)


async def _refused(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _failed(request: Request, error: errors.EvenerError) -> Response:
    log.error("%s", error)
    status = 409 if isinstance(error, errors.RunError) else 500
    return JSONResponse({"error": f"{error.code}: {error.what}"}, status)


async def _broken(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the server failed; its log says why"}, 500)
