"""What every test stands on: one thread each, no traces left, and every skip explained."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Two OpenMP threads that spin for one core are 25 times slower than one; before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
from hypothesis.configuration import set_hypothesis_home_dir
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests import leaks

if TYPE_CHECKING:
    from tests.lab.engine import Daemon

WITH_ENGINE = ("tests/backends/", "tests/lab/")
_hypothesis_home = tempfile.TemporaryDirectory(prefix="hypothesis-")


def pytest_configure() -> None:
    set_hypothesis_home_dir(_hypothesis_home.name)
    # The same examples in every run: what passed here passes in CI. Never too slow: machines vary.
    hypothesis.settings.register_profile(
        "house",
        database=None,
        deadline=None,
        derandomize=True,
        print_blob=True,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("house")
    leaks.start_watching()


def pytest_unconfigure() -> None:
    _hypothesis_home.cleanup()


@pytest.fixture(autouse=True)
def leak_police() -> Iterator[None]:
    """Fails a test that leaves a thread, a process, an open file or any other change behind."""
    before = leaks.look()
    yield
    found = leaks.left_behind(before)
    if found:
        leaks.restore(before)
        pytest.fail("\n  ".join(["this test left behind:", *found]), pytrace=False)


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """The engine that all tests of a session share, or the reason why there is none."""
    from tests.lab import engine

    try:
        with engine.daemon() as running:
            yield running
    except engine.NoLab as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def docker_host(daemon: Daemon) -> str:
    return daemon.host


@pytest.fixture(scope="session")
def wheels() -> Path:
    from tests.lab import engine

    try:
        return engine.wheels()
    except engine.NoLab as reason:
        pytest.skip(str(reason))


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Of two workers (`make test`), one gets all that needs the engine, for there is one of it;
    the tests of any other file stay together, and so do their fixtures."""

    def _split_scope(self, nodeid: str) -> str:
        return "engine" if _with_engine(nodeid) else nodeid.partition("::")[0]


def _with_engine(nodeid: str) -> bool:
    alone = "[local" in nodeid or "[pool" in nodeid
    return nodeid.startswith(WITH_ENGINE) and not alone


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not _with_engine(item.nodeid))  # they take longest
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if wanting and not _has_cuda():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device; this machine has none"))


def _has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Nothing is left out in silence: what was skipped, and what the police could not see."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        reasons[str(reason).removeprefix("Skipped: ")] += 1
    unseen = leaks.blind_spots()
    if reasons or unseen:
        terminalreporter.section("not tested here")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count} skipped: {reason}")
    for spot in unseen:
        terminalreporter.line(f"not watched: {spot}")
