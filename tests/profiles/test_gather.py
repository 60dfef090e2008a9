"""The record of a bench becomes profiles: figures that were measured, or null."""

from __future__ import annotations

import math

from evener import profiles
from evener.events import Event, LinkMeasured, MachineProfiled, MachineSeen, RankProfiled
from evener.profiles import Occasion, Profiles, to_text
from evener.versions import Versions
from tests.profiles.found import ELM, LABEL, OAK

OCCASION = Occasion("2026-05-01T12:00:00+00:00", Versions("0.1.0", "2.13.0"), "tiny", {"a.b": 1})


def seen(agent: str, memory_bytes: int = 10**9) -> MachineSeen:
    return MachineSeen(agent, {"memory_bytes": memory_bytes, "cpu_name": "EPYC", "system": "Linux"})


def machine(agent: str, note: str = "") -> MachineProfiled:
    return MachineProfiled(agent, "cpu", 2, 2e10, {"fp32": 3e11, "fp16": math.nan}, None, 5e8, note)


def rank(number: int, per_sample_s: float = 0.012345678) -> RankProfiled:
    return RankProfiled(number, 2, (1, 2), (0.02, 0.03), 0.01, per_sample_s, 1000, 10**8, "full")


def gather(*told: Event) -> Profiles:
    return profiles.gather(told, (OAK, ELM), OCCASION)


def test_all_that_was_told_is_there() -> None:
    found = gather(
        seen("a00"), seen("a01"), machine("a00"), rank(1), machine("a01"), rank(0),
        LinkMeasured(1, 0, 1e8, 1e-3), LinkMeasured(0, 1, 2e8, 1e-3),
    )  # fmt: skip
    assert [m.name for m in found.machines] == ["oak", "elm"]
    assert [(r.rank, r.machine, r.threads) for r in found.ranks] == [(0, "oak", 8), (1, "elm", 2)]
    assert [(k.from_rank, k.to_rank) for k in found.links] == [(0, 1), (1, 0)]
    assert (found.job, found.parameters, found.depends_on) == ("tiny", 1000, {"a.b": 1})
    assert found.machines[0].processor == "EPYC"
    assert found.ranks[0].points == ((1, 0.02), (2, 0.03))
    assert profiles.parse(to_text(found), LABEL) == found


def test_what_could_not_be_measured_is_null_and_its_note_stays() -> None:
    (found,) = gather(machine("a00", note="fp16: none")).machines
    assert found.matmul_flop_per_s == {"fp32": 3e11, "fp16": None}
    assert (found.disk_read_bytes_per_s, found.note) == (None, "fp16: none")
    assert found.memory_bytes is None  # nobody told


def test_no_more_figures_are_kept_than_a_clock_gives() -> None:
    assert gather(rank(0)).ranks[0].per_sample_s == 0.0123457


def test_what_is_told_again_after_a_loss_counts_the_second_time() -> None:
    found = gather(rank(0, 0.5), rank(0, 0.25))
    assert [r.per_sample_s for r in found.ranks] == [0.25]


def test_strangers_are_not_kept() -> None:
    assert gather(rank(7), machine("a09")).ranks == ()
