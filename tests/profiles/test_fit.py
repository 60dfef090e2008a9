"""Profiles are used for the ranks, the machines and the job that were measured, and no others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from evener import profiles
from evener.errors import ProfilesUnfit
from evener.profiles import Expected, Profiles, depends_on
from evener.shares import Speed
from evener.versions import Versions
from tests.profiles import found
from tests.profiles.found import ELM, LABEL, OAK, expected, job

NOW = datetime(2026, 5, 2, tzinfo=UTC)
SAME = Versions("0.1.0", "2.13.0+cu130")


def fitting(known: Profiles, *wanted: Expected, **tables: Any) -> Profiles:
    return profiles.fitting(known, wanted, depends_on(job(**tables)), LABEL)


def refused(known: Profiles, *wanted: Expected, **tables: Any) -> str:
    with pytest.raises(ProfilesUnfit, match=r"^E109") as caught:
        fitting(known, *wanted, **tables)
    assert caught.value.where == LABEL
    assert "evener bench JOB" in caught.value.fix
    return caught.value.what


def test_each_rank_gets_its_own_speed() -> None:
    fit = fitting(found.profiles(), OAK, ELM)
    assert profiles.speeds(fit) == {0: Speed(0.01, 0.01), 1: Speed(0.01, 0.04)}
    assert fit == found.profiles()


def test_ranks_of_another_order_are_numbered_as_they_are_planned() -> None:
    fit = fitting(found.profiles(), replace(ELM, rank=0), replace(OAK, rank=1))
    assert profiles.speeds(fit) == {0: Speed(0.01, 0.04), 1: Speed(0.01, 0.01)}
    assert [(k.from_rank, k.to_rank, k.bytes_per_s) for k in fit.links] == [
        (1, 0, 1e8), (0, 1, 2e8),
    ]  # fmt: skip


def test_fewer_ranks_take_what_is_theirs() -> None:
    fit = fitting(found.profiles(), replace(ELM, rank=0))
    assert [r.machine for r in fit.ranks] == ["elm"]
    assert fit.links == ()


def test_ranks_that_are_alike_stand_in_for_each_other_but_each_once() -> None:
    alike = found.profiles(ranks=(found.rank(0, "oak"), found.rank(1, "oak")))
    assert len(fitting(alike, OAK, expected(1, "oak")).ranks) == 2
    said = refused(alike, OAK, expected(1, "oak"), expected(2, "oak"))
    assert "rank 2 is planned on machine oak with device cpu" in said


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (expected(0, "ash"), "rank 0 is planned on machine ash with device cpu"),
        (replace(OAK, device="cuda:0"), "unused: rank 0 on oak, cpu; rank 1 on elm, cpu"),
        (replace(OAK, threads=4), "threads were 8 and are 4"),
        (replace(OAK, cpus=4.0), "cpus were 8.0 and are 4.0"),
        (replace(OAK, hardware="Xeon"), "hardware were EPYC and are Xeon"),
    ],
)
def test_other_machines_are_refused_with_what_there_is(wanted: Expected, said: str) -> None:
    assert said in refused(found.profiles(), wanted)


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        ({"model": {"hidden": [32]}}, "model.hidden was [16] then and is [32] now"),
        ({"train": {"precision": "bf16"}}, "train.precision was 'fp32' then and is 'bf16' now"),
        ({"train": {"compile": True}}, "train.compile"),
        ({"data": {"size": 64}}, "data.size"),
    ],
)
def test_another_job_is_refused_with_what_differs(tables: dict[str, Any], key: str) -> None:
    said = refused(found.profiles(), OAK, **tables)
    assert "measured with another job, 'tiny'" in said
    assert key in said


@pytest.mark.parametrize(
    "tables",
    [
        {"train": {"lr": 0.5, "global_batch": 128, "steps": 9}},
        {"data": {"samples": 7}},
        {"checkpoint": {"every_s": 5.0}},
    ],
)
def test_what_makes_no_step_slower_may_differ(tables: dict[str, Any]) -> None:
    assert fitting(found.profiles(), OAK, **tables).ranks


def test_profiles_of_machines_alone_know_no_rank() -> None:
    assert "machines alone" in refused(found.profiles(ranks=(), links=()), OAK)


def test_fresh_profiles_need_no_note() -> None:
    assert profiles.notes(found.profiles(), NOW, SAME) == ()


def test_old_ones_and_those_of_another_torch_get_a_note() -> None:
    (old,) = profiles.notes(found.profiles(), NOW.replace(month=7), SAME)
    assert old.startswith("the profiles are 61 days old")
    (other,) = profiles.notes(found.profiles(), NOW, Versions("0.1.0", "2.15.0"))
    assert other == "the profiles were measured with torch 2.13.0+cpu; this is 2.15.0"


def test_a_date_without_a_zone_is_taken_for_utc() -> None:
    naive = found.profiles(measured_at="2026-01-01T12:00:00")
    assert len(profiles.notes(naive, NOW, SAME)) == 1
