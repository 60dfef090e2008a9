"""What torch opens once per process and keeps is opened before the leak police looks."""

from __future__ import annotations

import pytest

from tests.rank.ring import in_group


@pytest.fixture(scope="session", autouse=True)
def _torch_opens_what_it_keeps() -> None:
    in_group(2, lambda group: None)
