"""A cache of its own for every test, and real data where it lies beside the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data import jobs


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or fills the cache of whoever runs it, nor asks a proxy for loopback."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("EVENER_CACHE", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


@pytest.fixture
def real_data() -> Path:
    """Public data sets nobody may commit: named by TEST_DATA, or in ../shared/data."""
    folder = jobs.real_data()
    if folder is None:
        pytest.skip("no real data: set TEST_DATA, or put it into ../shared/data")
    return folder
