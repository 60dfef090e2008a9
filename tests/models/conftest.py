"""What torch sets once per process and keeps is set before the leak police looks."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session")
def torch_compiler() -> None:
    """The first optimizer of a process makes torch import its compiler, which sets a variable.

    So does importing torchvision; other tests of this folder do without both.
    """
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
