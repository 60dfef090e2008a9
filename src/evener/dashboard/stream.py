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

GAP_S = 0.05  # between two things told: of many that come at once, one word, and soon enough
STATE_S = 0.4  # between two states: ranks report twice a second
STATE_PART = 0.1  # of the time, at most, is spent on making states: many ranks make them long
BEHIND = 5000  # records: more than these are not told one by one
ALIVE_S = 15.0  # without news a comment goes this often: proxies close what is silent


async def follow(source: RunSource, after: int | None) -> AsyncIterator[bytes]:
    """From record `after` on; from now on where that is None. Ends with the run's record."""
    page = _Page(source, source.newest() if after is None else after)
    async for told in page.told():
        yield told


class _Page:
    """What one reader was told. Its methods that block are called in threads, one at a time."""

    def __init__(self, source: RunSource, seen: int) -> None:
        self._source, self._seen = source, seen
        self._teller = words.Teller()
        self._stated, self._state_due = -1, 0.0
        self._spoken = time.monotonic()

    async def told(self) -> AsyncIterator[bytes]:
        yield await run_in_threadpool(self._state)
        while self._source.live:
            async for part in self._news():
                yield part
            if time.monotonic() - self._spoken > ALIVE_S:
                self._spoken = time.monotonic()
                yield b": here\n\n"
            await self._rest()
        async for part in self._news():
            yield part
        yield await run_in_threadpool(self._state)
        yield _event("end", {})

    async def _news(self) -> AsyncIterator[bytes]:
        while self._has_news and (part := await run_in_threadpool(self._part)):
            self._spoken = time.monotonic()
            yield part

    @property
    def _has_news(self) -> bool:
        return self._seen < self._source.newest() or self._owes_state

    @property
    def _owes_state(self) -> bool:
        return self._stated != self._seen and time.monotonic() >= self._state_due

    def _part(self) -> bytes:
        """The next of what is to be told: with the state, once that is all."""
        newest, told = self._source.newest(), b""
        if newest - self._seen > BEHIND:
            self._seen = newest
            told = _event("reload", {}, newest)
        elif self._seen < newest:
            records = self._source.since(self._seen)
            # None: they are of kinds that only another version knows
            self._seen = records[-1][0] if records else newest
            news = answers.news(self._seen, records, self._teller)
            told = _event("news", news, self._seen) if records else b""
        if self._seen >= newest and self._owes_state:
            told += self._state()
        return told

    async def _rest(self) -> None:
        """Until there is something to tell, but not at once again."""
        left_s = self._spoken + ALIVE_S - time.monotonic()
        if self._stated != self._seen:
            left_s = self._state_due - time.monotonic()
        await self._source.grown(self._seen, max(left_s, 0.0))
        await asyncio.sleep(max(self._spoken + GAP_S - time.monotonic(), 0.0))

    def _state(self) -> bytes:
        began, self._stated = time.monotonic(), self._seen
        event = _event("state", state_of(self._source))
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
