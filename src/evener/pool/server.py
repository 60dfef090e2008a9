"""The routes of a pool's server. Who shows no secret it knows is told nothing: the same always.

    POST   /pool/join     {"machine": ..., "evener": ...}   a code's, a member's or the owner's
    POST   /pool/wait     what a member has; answered when there is news, or after some seconds
    POST   /pool/leave                                      a member's
    POST   /pool/datagrams       both ways, without an end  a member's
    GET    /pool/members                                    a member's or the owner's
    GET    /pool/tokens, POST /pool/tokens, DELETE /pool/tokens/ID         the owner's
    GET    /pool/runs, POST /pool/runs, DELETE /pool/runs/KEY              the owner's
    POST   /pool/down                                       the owner's
    ...    /pool/image...      the image that is handed on (`images`)      as to join
    ...    /runs/KEY/v1/...    the head of that run (`relay`)              the run's

Secrets are shown as `Authorization: Bearer SECRET`. The owner is who may read the pool's folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from evener import cluster, contract, versions
from evener.pool import images, paths, relay
from evener.pool.attendance import Attendance
from evener.pool.authority import Authority
from evener.pool.detour import PATH, udp_answers
from evener.pool.gate import Gate, TooManyError
from evener.pool.house import Pool
from evener.pool.inlet import Inlets
from evener.pool.mesh import MEMBER_HOURS
from evener.pool.paths import Ways
from evener.pool.roll import Member, RefusedError, Roll, Run, Wish
from evener.pool.views import member_view, run_view, stamp, token_view, wishes_view

log = logging.getLogger("evener.pool")

BODY_BYTES = 2**20
HTTP_NOTHING, HTTP_REFUSED, HTTP_TOO_MANY, HTTP_OTHER_VERSION, HTTP_AWAY = 404, 403, 429, 409, 503
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Desk:
    """All that the routes work on. `down` is called when the owner ends the pool."""

    roll: Roll
    attendance: Attendance
    pool: Pool
    authority: Authority | None  # of the mesh, where there is one
    inlets: Inlets
    down: Callable[[], None]
    image: Path  # the folder of the one that is handed on


class _NothingError(Exception):
    """Not for you, or not there: nobody is told which."""


def build(desk: Desk) -> ASGIApp:
    gate = Gate(desk.roll, desk.pool)
    routes = [
        *_of_members(desk, gate),
        *images.routes(gate, desk.image, desk.pool.network if desk.authority else paths.HOST),
        *_of_owner(desk),
        Route("/runs/{key}/{path:path}", relay.handler(desk.roll), methods=relay.METHODS),
    ]
    return walled(routes)


def walled(routes: list[Route]) -> ASGIApp:
    """All else that is asked, and by whom it may not be, gets one and the same answer."""
    handlers: dict[Any, Any] = {
        _NothingError: _nothing,
        relay.NobodyError: _nothing,
        TooManyError: _too_many,
        RefusedError: _refused,
        404: _nothing,
        405: _nothing,
        ValueError: _unreadable,
        KeyError: _unreadable,
        TypeError: _unreadable,
    }
    return Starlette(routes=routes, exception_handlers=handlers)


# ---------------------------------------------------------------------------- of machines


def _of_members(desk: Desk, gate: Gate) -> list[Route]:
    async def join(request: Request) -> Response:
        caller = gate.let_in(request)
        own, known = caller.own, caller.member
        told = await _body(request)
        machine, evener = cluster.from_dict(told["machine"]), str(told["evener"])
        if evener != versions.EVENER:
            return _said(HTTP_OTHER_VERSION, versions.EVENER)
        if own:
            known = next((m for m in desk.roll.members.values() if m.own), None)
        if known is not None and not own:
            member, shown = desk.roll.renew(known, machine, evener), caller.secret
        else:
            if known is not None:
                desk.roll.dismiss(known.id)
            member, shown = desk.roll.admit(machine, evener, caller.token, own=own)
        desk.attendance.heard(member.id)
        answer: dict[str, Any] = {"member": member.id, "name": member.name, "secret": shown}
        public = str(told.get("mesh", ""))
        if desk.authority is not None and public:
            member = desk.roll.number(member)
            sign = desk.authority.admit
            try:
                found = await run_in_threadpool(sign, member.name, member.mesh, public)
                desk.roll.certify(member, found["fingerprint"], MEMBER_HOURS * 3600)
                answer["mesh"] = {**found, "blocked": desk.roll.blocked()}
            except OSError as error:
                log.error("%s gets no certificate for the mesh: %s", member.name, error)
        return JSONResponse(answer)

    async def wait(request: Request) -> Response:
        member = _member(desk, request)
        told = await _body(request)
        presence = desk.attendance.heard(member.id)
        door, seen = str(told["door"]), request.client.host if request.client else ""
        why = paths.hindrance(door, seen, desk.pool.addresses)
        presence.ways = Ways(door, str(told.get("mesh", "")), why)
        presence.running = tuple(map(str, told["running"]))
        for wish, (status, words) in told["ended"].items():
            desk.roll.end(member.id, str(wish), int(status), str(words))
        answer = _answer(desk, member)
        if told["seen"] == answer["stamp"] and not told.get("now"):
            presence.asking += 1
            try:
                asks = await _news_or_end(desk, member, request)
            finally:
                presence.asking -= 1
            if not asks:
                return JSONResponse({})  # which nobody hears
            answer = _answer(desk, member)
        desk.attendance.heard(member.id)
        return JSONResponse(answer)

    async def leave(request: Request) -> Response:
        member = _member(desk, request)
        desk.roll.dismiss(member.id)
        desk.attendance.forget(member.id)
        desk.inlets.end(member.id)
        desk.attendance.tell_all()  # whom the mesh is to let in no more
        return JSONResponse({})

    async def datagrams(request: Request) -> Response:
        member = _member(desk, request)
        if desk.authority is None:
            raise _NothingError
        if not await run_in_threadpool(udp_answers, ((contract.LOOPBACK, desk.pool.port),)):
            return _said(HTTP_AWAY, "there is no mesh on the pool's own machine")
        return desk.inlets.made(member.id, desk.attendance.of(member.id))

    async def members(request: Request) -> Response:
        if not _is_owner(desk, request):
            _member(desk, request)
        known = (desk.roll, desk.attendance, desk.pool.network)
        found = [member_view(member, *known) for member in desk.roll.members.values()]
        return JSONResponse({"members": found, "network": desk.pool.network})

    return [
        Route("/pool/join", join, methods=["POST"]),
        Route("/pool/wait", wait, methods=["POST"]),
        Route("/pool/leave", leave, methods=["POST"]),
        Route(PATH, datagrams, methods=["POST"]),
        Route("/pool/members", members, methods=["GET"]),
    ]


async def _news_or_end(desk: Desk, member: Member, request: Request) -> bool:
    """Until there is news for the member, or its connection ends: then it is away at once. Whether
    it still asks."""
    news = asyncio.create_task(desk.attendance.news(member.id))
    ended = asyncio.create_task(_ended(request))
    done, pending = await asyncio.wait((news, ended), return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    if news not in done:
        desk.attendance.gone(member.id)
    return news in done


async def _ended(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _answer(desk: Desk, member: Member) -> dict[str, Any]:
    wishes = wishes_view(desk.roll.wanted_of(member.id))
    leave = member.id in desk.roll.leaving
    blocked = desk.roll.blocked()
    told = stamp(wishes, leave, blocked)
    return {"stamp": told, "wishes": wishes, "leave": leave, "blocked": blocked}


# -------------------------------------------------------------------------- of the owner


def _of_owner(desk: Desk) -> list[Route]:
    async def tokens(request: Request) -> Response:
        return JSONResponse({"tokens": [token_view(token) for token in desk.roll.tokens]})

    async def mint(request: Request) -> Response:
        told = await _body(request)
        token, secret = desk.roll.mint(float(told["lasts_s"]), int(told["uses"]))
        return JSONResponse({**token_view(token), "secret": secret})

    async def revoke(request: Request) -> Response:
        if not desk.roll.revoke(request.path_params["id"]):
            raise _NothingError
        return JSONResponse({})

    async def runs(request: Request) -> Response:
        found = [run_view(run, desk.attendance) for run in desk.roll.runs.values()]
        return JSONResponse({"runs": found})

    async def want(request: Request) -> Response:
        told = await _body(request)
        key = str(told["key"])
        wishes = (
            Wish(str(w["id"]), key, str(w["member"]), dict(w["told"])) for w in told["wishes"]
        )
        name, head, secret = (str(told[part]) for part in ("name", "head", "secret"))
        network = str(told.get("network", paths.HOST))
        folder = str(told.get("folder", ""))
        desk.roll.want(Run(key, name, head, secret, tuple(wishes), network, folder))
        desk.attendance.tell_all()
        return JSONResponse({})

    async def withdraw(request: Request) -> Response:
        desk.roll.withdraw(request.path_params["key"])
        desk.attendance.tell_all()
        return JSONResponse({})

    async def down(request: Request) -> Response:
        desk.roll.leaving = set(desk.roll.members)
        desk.attendance.tell_all()
        desk.down()
        return JSONResponse({})

    def owned(handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            if not _is_owner(desk, request):
                raise _NothingError
            return await handler(request)

        return guarded

    return [
        Route("/pool/tokens", owned(tokens), methods=["GET"]),
        Route("/pool/tokens", owned(mint), methods=["POST"]),
        Route("/pool/tokens/{id}", owned(revoke), methods=["DELETE"]),
        Route("/pool/runs", owned(runs), methods=["GET"]),
        Route("/pool/runs", owned(want), methods=["POST"]),
        Route("/pool/runs/{key}", owned(withdraw), methods=["DELETE"]),
        Route("/pool/down", owned(down), methods=["POST"]),
    ]


def _is_owner(desk: Desk, request: Request) -> bool:
    return hmac.compare_digest(relay.bearer(request), desk.pool.owner)


def _member(desk: Desk, request: Request) -> Member:
    found = desk.roll.member_of(relay.bearer(request))
    if found is None:
        raise _NothingError
    return found


async def _body(request: Request) -> dict[str, Any]:
    body = await relay.body(request, BODY_BYTES)
    told = json.loads(body)
    if not isinstance(told, dict):
        raise TypeError("not an object")
    return told


def _said(status: int, what: str) -> JSONResponse:
    return JSONResponse({"error": what}, status)


async def _nothing(request: Request, error: Exception) -> Response:
    return _said(HTTP_NOTHING, "nothing is here")


async def _refused(request: Request, error: Exception) -> Response:
    return _said(HTTP_REFUSED, str(error))


async def _too_many(request: Request, error: Exception) -> Response:
    return _said(HTTP_TOO_MANY, str(error))


async def _unreadable(request: Request, error: Exception) -> Response:
    return _said(400, f"this cannot be read: {' '.join(str(error).split())[:200]}")
