"""A run as it goes on: server-sent events for one page, made from the record as it grows.

A page that is slow, or comes back after hours, is not told everything: it is asked to load its
charts again. Nobody waits for a page; what is sent is bounded.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool

from evener import words
from evener.dashboard import answers
from evener.dashboard.source import RunSource

POLL_S = 0.05  # a page is to show what was taken in within a tenth of a second
STATE_S = 0.25  # between two states
STATE_PART = 0.1  # of the time, at most, is spent on making states: many ranks make them long
BEHIND = 5000  # records: more than these are not told one by one
ALIVE_S = 15.0  # without news a comment goes this often: proxies close what is silent


async def follow(source: RunSource, after: int | None) -> AsyncIterator[bytes]:
    """From record `after` on; from now on where that is None. Ends with the run's record."""
    page = _Page(source, source.newest() if after is None else after)
    async for event in page.events():
        yield event


class _Page:
    """What one reader was told."""

    def __init__(self, source: RunSource, seen: int) -> None:
        self._source, self._seen = source, seen
        self._teller = words.Teller()
        self._stated, self._state_due = -1, 0.0
        self._spoken = time.monotonic()

    async def events(self) -> AsyncIterator[bytes]:
        yield await self._state()
        while self._source.live:
            async for event in self._news():
                self._spoken = time.monotonic()
                yield event
            if time.monotonic() - self._spoken > ALIVE_S:
                self._spoken = time.monotonic()
                yield b": here\n\n"
            await asyncio.sleep(POLL_S)
        async for event in self._news():
            yield event
        yield await self._state()
        yield _event("end", {})

    async def _news(self) -> AsyncIterator[bytes]:
        newest = self._source.newest()
        if newest - self._seen > BEHIND:
            self._seen = newest
            yield _event("reload", {}, newest)
        while self._seen < newest:
            records = await run_in_threadpool(self._source.since, self._seen)
            if not records:
                break
            self._seen = records[-1][0]
            yield _event("news", answers.news(self._seen, records, self._teller), self._seen)
        if self._stated != self._seen and time.monotonic() >= self._state_due:
            yield await self._state()

    async def _state(self) -> bytes:
        began, self._stated = time.monotonic(), self._seen
        told = await run_in_threadpool(state_of, self._source)
        event = _event("state", told)
        took_s = time.monotonic() - began
        self._state_due = time.monotonic() + max(STATE_S, took_s / STATE_PART)
        return event


def state_of(source: RunSource) -> dict[str, Any]:
    live = source.live
    return answers.of_state(source.state(), live=live, acts=live and source.acts, now=time.time())


def _event(kind: str, value: Any, seq: int | None = None) -> bytes:
    number = "" if seq is None else f"id: {seq}\n"
    data = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return f"event: {kind}\n{number}data: {data}\n\n".encode()
