"""What an engine says of itself."""

from __future__ import annotations

import pytest

from evener.docker.engine import _version


@pytest.mark.parametrize(
    ("said", "version"),
    [("20.10.24+dfsg1", (20, 10, 24)), ("27.3.1", (27, 3, 1)), ("library-import", ())],
)
def test_its_version_is_read_whatever_follows_it(said: str, version: tuple[int, ...]) -> None:
    assert _version({"ServerVersion": said}) == version
    assert _version({}) == ()
