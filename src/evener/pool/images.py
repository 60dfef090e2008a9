"""The image that a pool hands on, as its server tells of it and gives it, part by part.

POST   /pool/image             {"stacks": [...]}: what it is, and the parts that are lacking
GET    /pool/image/v1/folder/SHA256       one of them; a `Range` has its end after where it is
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from evener import versions
from evener.image import parcel
from evener.pool import relay
from evener.pool.gate import Gate
from evener.wire import porter

OFFER = "image"  # what it is asked by, as `client` calls it
PATH = "/pool/image"
_RANGE = re.compile(r"bytes=(\d+)-")


def routes(gate: Gate, folder: Path) -> list[Route]:
    """`folder` is where the image is packed, if one is."""

    async def offer(request: Request) -> Response:
        gate.let_in(request)
        told = json.loads(await relay.body(request, relay.BODY_BYTES))
        stacks = [[str(layer) for layer in stack] for stack in told["stacks"]]
        return JSONResponse(await run_in_threadpool(_offered, folder, stacks))

    async def part(request: Request) -> Response:
        gate.let_in(request)
        told = _RANGE.fullmatch(request.headers.get("range", ""))
        at = int(told[1]) if told else 0
        try:
            file, size = await run_in_threadpool(
                parcel.opened, folder, request.path_params["sha256"]
            )
        except (OSError, KeyError):
            raise relay.NobodyError from None
        file.seek(at, 1)
        headers = {"content-length": str(max(0, size - at))}
        if told:
            headers["content-range"] = f"bytes {at}-{size - 1}/{size}"
        return StreamingResponse(_pieces(file, size - at), 206 if told else 200, headers)

    return [
        Route(PATH, offer, methods=["POST"]),
        Route(f"{PATH}{porter.PATH}/{{sha256}}", part, methods=["GET"]),
    ]


def _offered(folder: Path, stacks: list[list[str]]) -> dict[str, Any]:
    """Nothing where none is packed, or one that would not be let in itself."""
    known = parcel.read(folder)
    if known is None or known.label.evener != versions.EVENER:
        return {}
    parts = parcel.lacking(folder, known, stacks)
    return {"label": asdict(known.label), "parts": [asdict(each) for each in parts]}


def _pieces(file: IO[bytes], left: int) -> Iterator[bytes]:
    with file:
        while left > 0 and (piece := file.read(min(left, relay.PIECE_BYTES))):
            left -= len(piece)
            yield piece
