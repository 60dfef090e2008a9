"""The interface does what its description says, whatever it is asked: schemathesis asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dashboard.pages import shown
from tests.synthetic_run import Script, records, run_with

pytestmark = pytest.mark.slow
Interface = tuple[Any, dict[str, str]]


@pytest.fixture
def interface(tmp_path: Path) -> Iterator[Interface]:
    """Its description, and the header that opens it."""
    run = run_with(tmp_path, records(Script(steps=60, ranks=2, lost_at=20)))
    run.rank_log(0).write_text("a line\nanother\n")
    with shown(tmp_path) as address:
        place, _, key = address.partition("/?key=")
        bearer = {"Authorization": f"Bearer {key}"}
        yield schemathesis.openapi.from_url(f"{place}/openapi.json", headers=bearer), bearer


def test_it_answers_as_it_says(interface: Interface) -> None:
    """Not by schemathesis's plugin, which does not know the pytest that this project uses."""
    described, bearer = interface
    asked = 0
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(), there=st.booleans())
        @settings(max_examples=40, suppress_health_check=list(HealthCheck))
        def ask(case: Any, there: bool) -> None:
            nonlocal asked
            asked += 1
            if there and "name" in case.path_parameters:
                case.path_parameters["name"] = "demo"
            case.call_and_validate(headers=bearer)

        ask()
    assert asked > 200
