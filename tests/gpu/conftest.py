"""What CUDA and NVML open once per process, and keep, is no test's doing."""

from __future__ import annotations

import pytest
import torch

from tests.engine.rehearsal import Stage, job


@pytest.fixture(scope="session", autouse=True)
def awake(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A training: the driver, its libraries and autograd's threads are there before any test."""
    if torch.cuda.is_available():
        with Stage(job(), tmp_path_factory.mktemp("awake"), ["cuda:0"]) as stage:
            stage.form(stage.players)
            stage.finish(stage.players)
