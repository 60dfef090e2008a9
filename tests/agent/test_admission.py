"""Who must go when versions differ: both sides judge alike, whoever it is."""

from __future__ import annotations

import pytest
from tests.placement.test_placement import job, machine

from evener.agent.admission import Admission, Refusal
from evener.errors import VersionsDiffer
from evener.placement import plan_containers
from evener.versions import Versions
from evener.wire.frames import Frame

NEW, OLD = Versions("0.1.0", "2.13.0+cpu"), Versions("0.1.0", "2.12.1")
PLAN = plan_containers(job(workers=3), machine(cpus=4))


def agent(name: str, own: Versions) -> Admission:
    return Admission(PLAN, name, own)


def hello(name: str, own: Versions, *, trains: bool = False, leads: bool = False) -> Frame:
    return agent(name, own).hello(trains=trains, leads=leads)


def verdict(one: Frame, other: Frame) -> str | bool:
    """What both say."""
    first = agent("a00", NEW).judge(one, other)
    second = agent("a00", NEW).judge(other, one)
    assert repr(first) == repr(second) or isinstance(first, Refusal)
    if isinstance(first, Refusal):
        assert isinstance(second, Refusal)
        assert str(first.error) == str(second.error)
        assert first.agent == second.agent
        return first.agent
    return first


def test_builds_of_one_version_are_welcome() -> None:
    gpu = Versions("0.1.0", "2.13.0+cu130")
    assert verdict(hello("a00", NEW), hello("a01", gpu)) is True


def test_before_the_start_the_lowest_id_decides() -> None:
    first = hello("a00", NEW, leads=True)
    assert verdict(first, hello("a01", OLD)) == "a01"
    assert verdict(first, hello("a01", OLD, leads=True)) == "a01"


def test_of_two_that_still_wait_for_the_lowest_neither_must_go() -> None:
    assert verdict(hello("a01", NEW), hello("a02", OLD)) is False
    assert verdict(hello("a01", NEW), hello("a02", OLD, leads=True)) is False


@pytest.mark.parametrize("leads", [True, False])
def test_who_trains_stays_though_its_id_is_higher(leads: bool) -> None:
    assert verdict(hello("a00", OLD, leads=leads), hello("a01", NEW, trains=True)) == "a00"


def test_two_groups_that_both_train_go_by_the_lowest_id() -> None:
    one = hello("a00", NEW, trains=True, leads=True)
    assert verdict(one, hello("a01", OLD, trains=True, leads=True)) == "a01"


def test_who_does_not_say_its_versions_is_of_another() -> None:
    stranger = {"role": "agent", "agent": "a01"}
    assert verdict(hello("a00", NEW, leads=True), stranger) == "a01"


def test_a_refusal_names_both_machines_both_versions_and_what_to_do() -> None:
    found = agent("a00", NEW).judge(hello("a00", NEW, leads=True), hello("a01", OLD))
    assert isinstance(found, Refusal)
    assert found.error.what == (
        "agent a01 (machine-1) has torch 2.12.1, agent a00 (machine-0) has torch 2.13.0+cpu: "
        "they cannot train together"
    )
    assert found.error.where == "machine-1"
    assert "install torch 2.13.0+cpu there" in found.error.fix
    assert isinstance(found.error, VersionsDiffer)


def test_a_rank_that_imported_something_else_is_found() -> None:
    own = agent("a00", NEW)
    said = {"role": "rank", "versions": {"evener": "0.1.0", "torch": "2.13.0+cu130"}}
    assert own.unlike(said) is None
    error = own.unlike({"role": "rank", "versions": {"evener": "0.1.0", "torch": "2.12.1"}})
    assert error is not None
    assert "imported torch 2.12.1, but torch 2.13.0+cpu is what is installed" in error.what
