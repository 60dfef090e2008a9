"""The pages that tell why name tests that there are, and lead where they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "why").glob("*.md"))
FAULTS = ROOT / "docs" / "why" / "faults.md"
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ROW = re.compile(r"^\| (\d+) \|(.*)\|$", re.M)


def is_test(file: str, name: str) -> bool:
    path = ROOT / "tests" / file
    return path.is_file() and f"\ndef {name}(" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_it_names_and_links_to_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", text):
        assert (page.parent / target).exists(), target
    for script in re.findall(r"`((?:benchmarks|tests|src)/[\w/]+(?:\.py)?)`", text):
        assert (ROOT / script).exists(), script


def test_every_fault_has_a_test_that_there_is() -> None:
    rows = ROW.findall(FAULTS.read_text(encoding="utf-8"))
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    for number, row in rows:
        named = TEST.findall(row)
        assert named, f"fault {number} names no test"
        assert [test for test in named if not is_test(*test)] == [], f"fault {number}"
