"""How fast ranks reach each other: one asks, the other answers, and they end together."""

from __future__ import annotations

import pytest

from evener.rank import links
from evener.rank.group import Group
from evener.rank.links import Found
from tests.rank.ring import in_group


@pytest.mark.parametrize("enough_s", [0.0, 0.1])
def test_a_pair_is_measured_both_ways(enough_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "ENOUGH_S", enough_s)
    monkeypatch.setattr(links, "SIZES", (2**16, 2**18))

    def work(group: Group) -> Found | None:
        if group.index == 0:
            return links.measure(group, 1)
        links.answer(group, 0)
        return None

    found, _ = in_group(2, work)
    assert found.there_bytes_per_s > 1e5
    assert found.back_bytes_per_s > 1e5
    assert 0 < found.latency_s < 1
