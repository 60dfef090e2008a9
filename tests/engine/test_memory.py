"""Where memory does not do, a step is done again in smaller pieces; a processor looks ahead."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evener.engine import memory
from evener.errors import OutOfMemory
from evener.membership.generation import Ballot, Generation, Member
from evener.rank.group import Group
from tests.engine.rehearsal import Player, Stage, job

ALL = {"policy": "fixed"}


def notes(player: Player) -> list[str]:
    return [e["text"] for e in player.link.events("Alert")]


def test_a_step_too_large_for_memory_is_done_in_pieces_and_is_the_same(tmp_path: Path) -> None:
    with Stage(job(), tmp_path / "large", 1) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
        expected = stage.players[0].weights()
    small = job(
        train={"loss": "tests.engine.losses:squares_of_few"}, balance={**ALL, "weights": [17, 7]}
    )
    with Stage(small, tmp_path / "small", 2) as stage:
        stage.form(stage.players)
        stage.form(stage.players)  # once more: rank 0 had no room for its 17
        done = stage.finish(stage.players)
        assert [d.outcome for d in done] == ["finished"] * 2
        assert [p.training.fits for p in stage.players] == [8, None]
        assert "its memory did not do for 17 samples at once: 8 from now on" in notes(
            stage.players[0]
        )
        for name, weights in stage.players[1].weights().items():
            torch.testing.assert_close(weights, expected[name], rtol=0, atol=1e-12)


def test_halves_are_halved_until_a_single_sample_is_too_much(tmp_path: Path) -> None:
    hopeless = job(train={"loss": "tests.engine.losses:squares_of_none", "global_batch": 4})
    with Stage(hopeless, tmp_path, 1) as stage:
        for _ in (4, 2, 1):
            stage.form(stage.players)
        with pytest.raises(OutOfMemory, match="rank 0 has no memory for a single sample"):
            stage.players[0].join()


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you ..."), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_what_says_that_memory_is_full(error: BaseException, full: bool) -> None:
    assert memory.is_full(error) == full


@pytest.mark.parametrize(
    ("grown", "share", "fits"),
    [
        ({1: 0.1, 4: 0.4}, 8, None),  # 0.8 of the 0.85 that may be filled
        ({1: 0.1, 4: 0.4}, 20, 8),
        ({1: 0.1, 4: 0.84}, 20, 4),
        ({4: 0.4}, 20, None),  # one measurement says nothing
        ({1: 0.4, 4: 0.4}, 10**6, None),  # nor do two alike
    ],
)
def test_a_processor_takes_no_more_than_it_has_room_for(
    tmp_path: Path, grown: dict[int, float], share: int, fits: int | None
) -> None:
    """`grown` in parts of this machine's memory."""
    with Stage(job(), tmp_path, 1) as stage:
        (player,) = stage.players
        alone = Group(Generation(Ballot(0, "a00"), (Member("a00", 0, 0, "", 0),), -1, 0), 0, 0)
        there = memory.limit_bytes(player.training, alone)
        used = {samples: int(part * there) for samples, part in grown.items()}
        memory.look_ahead(player.training, alone, share, used)
        assert player.training.fits == fits
        player.training.reporter.flush(0)
        assert bool(notes(player)) == (fits is not None)
