"""What a person asks on a run's page, which agents hear in the answers to their posts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agent.rehearsal import Rehearsal

from evener.events import CheckpointWritten, StepCommitted, StopAsked

pytestmark = pytest.mark.slow


def test_a_stop_is_obeyed_by_all_and_told_once_each(tmp_path: Path) -> None:
    with Rehearsal(tmp_path, ranks=2, agents=2) as run:
        run.until(StepCommitted, lambda s: s.step >= 5)
        run.intake.asks = [("1", "stop")]
        ended = run.end()
        assert ended.outcome == "stopped"
        assert all("page" in asked.reason for asked in run.of(StopAsked))
        assert len(run.of(StopAsked)) <= 2


def test_a_checkpoint_is_asked_of_every_rank_once(tmp_path: Path) -> None:
    """However often the head says it: the one who leads writes it."""
    with Rehearsal(tmp_path, ranks=3) as run:
        run.until(StepCommitted, lambda s: s.step >= 5)
        run.intake.asks = [("1", "checkpoint"), ("2", "something that nobody knows")]
        run.until(CheckpointWritten, lambda c: c.path == "by rank 2")
        asked_at = max(s.step for s in run.of(StepCommitted))
        run.until(StepCommitted, lambda s: s.step >= asked_at + 200)
        assert sorted(c.path for c in run.of(CheckpointWritten)) == [
            "by rank 0",
            "by rank 1",
            "by rank 2",
        ]
        run.signal()
        run.end()
