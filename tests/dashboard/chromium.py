"""A real browser for tests: Debian's chromium, installed where root may, or the reason why not."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Skips the test that asks, where there is none."""
    program = _program()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        try:
            yield opened
        finally:
            opened.close()


def _program() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None and hasattr(os, "geteuid") and os.geteuid() == 0:
        found = _installed()
    if found is None:
        pytest.skip("no chromium is installed, and this user may not install it")
    return found


def _installed() -> str | None:
    if not Path("/etc/debian_version").exists():
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends",
                                        "chromium", "fonts-dejavu-core"]):  # fmt: skip
        subprocess.run(
            ["apt-get", *command], check=True, capture_output=True, timeout=600, env=environment
        )
    return shutil.which("chromium")
