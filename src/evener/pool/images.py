"""The image that is handed on, as a server tells of it and gives it, part by part.

POST   /pool/image             {"stacks": [...]}: what it is, and the parts that are lacking
GET    /pool/image/v1/folder/SHA256       one of them; a `Range` has its end after where it is
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from evener import versions
from evener.image import parcel
from evener.image.parcel import Label, Part
from evener.pool import paths, relay
from evener.pool.gate import Gate
from evener.wire import porter

OFFER = "image"  # what it is asked by, as `client` calls it
PATH = "/pool/image"
_RANGE = re.compile(r"bytes=(\d+)-")


Asked = Callable[[str, Sequence[Part]], None]


def routes(
    gate: Gate,
    folder: Path,
    network: str = paths.HOST,
    asked: Asked = lambda address, parts: None,
) -> list[Route]:
    """`folder` is where the image is packed, if one is; `network` is by which runs go, and `asked`
    hears which address lacks what."""

    async def offer(request: Request) -> Response:
        gate.let_in(request)
        told = json.loads(await relay.body(request, relay.BODY_BYTES))
        stacks = [[str(layer) for layer in stack] for stack in told["stacks"]]
        found = await run_in_threadpool(_offered, folder, stacks)
        if found is None:
            return JSONResponse({})
        label, parts = found
        asked(request.client.host if request.client else "", parts)
        lacking = [asdict(each) for each in parts]
        return JSONResponse({"label": asdict(label), "parts": lacking, "network": network})

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


def _offered(folder: Path, stacks: list[list[str]]) -> tuple[Label, list[Part]] | None:
    """Nothing where none is packed, or one of a pool that the pool would not let in itself."""
    known = parcel.read(folder)
    if known is None or known.label.evener not in (parcel.UNKNOWN.evener, versions.EVENER):
        return None
    return known.label, parcel.lacking(folder, known, stacks)


def _pieces(file: IO[bytes], left: int) -> Iterator[bytes]:
    with file:
        while left > 0 and (piece := file.read(min(left, relay.PIECE_BYTES))):
            left -= len(piece)
            yield piece
