"""A page is told what comes, soon and in order, is never told too much, and hears the end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evener import state
from evener.dashboard import stream
from evener.state import RunState
from tests.dashboard.pages import Played, played
from tests.synthetic_run import Script, records

STORY = list(records(Script(steps=120, ranks=2, lost_at=60)))
BEGUN = 30
Told = tuple[str, int | None, Any]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Played]:
    with played(tmp_path) as run:
        run.store.append(STORY[:BEGUN])
        run.live = True
        yield run


def read(event: bytes) -> Told:
    fields = dict(line.split(": ", 1) for line in event.decode().strip().splitlines())
    number = int(fields["id"]) if "id" in fields else None
    return fields.get("event", ""), number, json.loads(fields.get("data", "null"))


async def heard(run: Played, after: int | None, until: str, feed: Any = None) -> list[Told]:
    """All that a page hears until the first event of a kind; `feed` is called once it listens."""
    told: list[Told] = []
    async for part in stream.follow(run, after):
        told += [read(event) for event in part.split(b"\n\n") if event]
        if len(told) == 1 and feed is not None:
            feed()
        if told[-1][0] == until and len(told) > 1:
            break
    return told


def test_what_is_recorded_is_told_within_a_tenth_of_a_second(run: Played) -> None:
    fed: list[float] = []

    def feed() -> None:
        run.store.append(STORY[BEGUN : BEGUN + 1])
        fed.append(time.monotonic())

    told = asyncio.run(heard(run, None, "news", feed))
    # Not a figure of the machine's: the pause between two words is what is asked here.
    assert stream.GAP_S <= 0.1
    assert [kind for kind, _, _ in told] == ["state", "news"]
    assert told[1][1] == BEGUN + 1


def test_a_page_that_comes_back_goes_on_where_it_was(run: Played) -> None:
    def feed() -> None:
        run.live = False

    told = asyncio.run(heard(run, 10, "end", feed))
    news = [value for kind, _, value in told if kind == "news"]
    assert news[0]["seq"] == BEGUN
    assert [kind for kind, _, _ in told] == ["state", "news", "state", "end"]


def test_everything_is_told_once_and_in_order(run: Played) -> None:
    def feed() -> None:
        run.store.append(STORY[BEGUN:])
        run.live = False

    told = asyncio.run(heard(run, 0, "end", feed))
    losses = [p for kind, _, v in told if kind == "news" for p in v["points"].get("loss", [])]
    assert [step for step, _, _ in losses] == list(range(1, 121))
    items = [i for kind, _, v in told if kind == "news" for i in v["timeline"]]
    assert any("rank 1 lost" in item["text"] for item in items)
    assert any("goes on after" in item["text"] for item in items)
    timed = [row for kind, _, v in told if kind == "news" for row in v["timings"]]
    assert {row[0] for row in timed} == {0, 1}
    assert told[-2][2]["phase"] == "finished"


def test_who_is_far_behind_is_told_to_load_again(run: Played, tmp_path: Path) -> None:
    long = list(records(Script(steps=stream.BEHIND // 3 + 50, ranks=2)))
    run.store.append(long)
    run.live = False
    told = asyncio.run(heard(run, 0, "end"))
    assert [kind for kind, _, _ in told][:2] == ["state", "reload"]
    assert "news" not in [kind for kind, _, _ in told]


class Slow(Played):
    """Its state takes as long to tell as that of a thousand ranks."""

    def state(self) -> RunState:
        time.sleep(0.1)
        return state.EMPTY


def test_long_states_are_told_seldom(run: Played) -> None:
    slow = Slow(run.run, run.store, live=True)
    page = stream._Page(slow, 0)
    began = time.monotonic()
    page._state()
    assert page._state_due >= began + 0.1 + 0.1 / stream.STATE_PART
