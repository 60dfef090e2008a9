"""Every page can be followed: links between pages lead somewhere, and the lists are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evener.config.load import load_job

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = LINK.findall((folder / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(p.name for p in folder.glob("0*.md"))


def test_every_page_is_listed() -> None:
    docs = ROOT / "docs"
    listed = {(docs / t).resolve() for t in LINK.findall((docs / "README.md").read_text())}
    pages = {p for p in docs.glob("*/*.md") if p.parent.name != "decisions"}
    assert pages <= listed, f"not in docs/README.md: {sorted(p.name for p in pages - listed)}"


def test_the_job_of_the_readme_is_one(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    job = tmp_path / "digits.toml"
    job.write_text(readme.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    assert load_job(str(job)).job.train.global_batch == 64


def test_the_readme_fits_two_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.name)
def test_every_benchmark_is_explained(script: Path) -> None:
    if "harness.main(" in script.read_text(encoding="utf-8"):
        assert f"`{script.name}`" in (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
