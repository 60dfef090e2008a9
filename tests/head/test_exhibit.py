"""A page that waits is woken by what comes in, and by the end, whichever thread brings it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from evener.events import Alert, Record
from evener.head.exhibit import Exhibit
from evener.head.keeper import Keeper
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

LONG_S = 3600.0  # longer than any test may take


@pytest.mark.parametrize("ends", [False, True])
def test_a_page_waits_until_there_is_news(tmp_path: Path, ends: bool) -> None:
    run = RunDir(tmp_path / "demo")
    run.create()
    with Store.open(run.db, write=True) as store:
        keeper = Keeper(run, store)
        exhibit = Exhibit(run, keeper, store)

        def feed() -> None:
            keeper.take([Record(Alert("note", "x"), 1.0, "a00/1", 1)])

        async def wait(until: Callable[[], object]) -> None:
            page = asyncio.create_task(exhibit.grown(keeper.newest, LONG_S))
            await asyncio.sleep(0)
            assert not page.done()
            await asyncio.to_thread(until)
            await page

        asyncio.run(wait(exhibit.close if ends else feed))
        asyncio.run(exhibit.grown(-1, LONG_S))  # of what it has not heard yet
        keeper.close()
