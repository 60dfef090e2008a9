"""Which part of the batch ranks may take: said once, said per machine, and what cannot add up."""

from __future__ import annotations

import pytest

from evener.config.machines import MachineWish
from evener.config.schema import Job
from evener.errors import BadCombination
from evener.placement import plan, plan_containers
from tests.placement.test_placement import job, machine


def asked(machines: tuple[MachineWish, ...] = (), **balance: float) -> Job:
    made = job(workers=2)
    changed = made.balance.model_copy(update=balance)
    return made.model_copy(update={"balance": changed, "machines": machines})


def test_every_rank_may_take_what_balance_says() -> None:
    made = plan(asked(min_share=0.1, max_share=0.6), [machine(cpus=4)])
    assert [rank.part for rank in made.ranks] == [(0.1, 0.6)] * 2


def test_a_machine_may_say_otherwise() -> None:
    wishes = (MachineWish(max_share=0.25), MachineWish(min_share=0.5))
    made = plan_containers(asked(machines=wishes), machine(cpus=4))
    assert [rank.part for rank in made.ranks] == [(0.0, 0.25), (0.5, 1.0)]


@pytest.mark.parametrize(
    ("balance", "words"),
    [
        ({"min_share": 0.6}, "or more together, and a batch has"),
        ({"max_share": 0.4}, "together at most, and a batch has"),
        ({"max_share": 0.01}, "is less than one"),
    ],
)
def test_parts_that_cannot_add_up_are_one_sentence(balance: dict[str, float], words: str) -> None:
    with pytest.raises(BadCombination, match=words):
        plan(asked((), **balance), [machine(cpus=4)])


def test_a_machine_that_contradicts_the_job_is_told() -> None:
    wishes = (MachineWish(min_share=0.8), MachineWish())
    with pytest.raises(BadCombination, match="rank 0 is to take"):
        plan_containers(asked(machines=wishes, max_share=0.7), machine(cpus=4))
