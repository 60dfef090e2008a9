"""What torch opens once per process and keeps is opened before the leak police looks."""

from __future__ import annotations

import pytest
import torch

from tests.rank.ring import in_group


@pytest.fixture(scope="session", autouse=True)
def _torch_opens_what_it_keeps() -> None:
    in_group(2, lambda group: None)


@pytest.fixture(scope="session", autouse=True)
def _torch_sets_what_it_sets() -> None:
    """The first optimizer of a process makes torch import its compiler, which sets a variable."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    torch.optim.SGD([parameter]).step()
