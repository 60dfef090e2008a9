"""What the tutorial and the how-to pages tell people to type works: commands, job files, code."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evener import contract, errors, profiles
from evener.cli.main import BY_NAME
from evener.config.load import load_job, recipes
from evener.config.overrides import parse
from evener.errors import JobError
from evener.launch import compose

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md")) + sorted(
    (ROOT / "docs" / "tutorial").glob("*.md")
)
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^)#:]+)(?:#([\w-]+))?\)")


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(page.read_text("utf-8")) if kind == language]


def commands(page: Path) -> Iterator[list[str]]:
    for body in blocks(page, "sh"):
        for line in body.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["evener"]:
                yield words[1:]


def test_there_are_pages_and_they_are_read() -> None:
    assert len(PAGES) >= 6
    assert sum(len(list(commands(page))) for page in PAGES) >= 25
    assert sum(len(blocks(page, "toml")) for page in PAGES) >= 12


@every_page
def test_every_command_is_one_that_evener_takes(page: Path) -> None:
    for verb, *arguments in commands(page):
        if verb == "--version":
            continue
        command: Any = BY_NAME[verb].load()
        command.make_context(f"evener {verb}", list(arguments))


@every_page
def test_every_override_sets_a_key_that_there_is(page: Path) -> None:
    for words in commands(page):
        texts = [b for a, b in itertools.pairwise(words) if a == "-o"]
        if not texts or texts == ["train.learning_rate=1e-3"]:  # the tutorial's own mistake
            continue
        known = {r.name for r in recipes()}
        source = words[1] if words[1] in known else "demo"
        load_job(source, [t for t in texts if parse(t)])


BASES: list[dict[str, Any]] = [
    {"model": {"name": model}, "data": data, "train": {"steps": 10}}
    for model, data in (
        ("gpt", {"name": "text", "path": "x"}),
        ("simple_cnn", {"name": "cifar10"}),
    )
]

SCRIPTS = ("import torch.distributed\n", "from evener import training\n")


def completed(base: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """An example shows what it is about; the rest is `base`'s."""
    whole = {k: dict(v) for k, v in base.items()}
    for table, keys in part.items():
        if "epochs" in keys and "train" in whole:
            whole["train"].pop("steps", None)
        alone = isinstance(keys, list) or "name" in keys
        whole[table] = keys if alone else whole.get(table, {}) | keys
    return whole


def refusals(part: dict[str, Any], folder: Path) -> list[str]:
    found = []
    for base, script in zip(BASES, SCRIPTS, strict=True):
        if "script" in part:  # it brings what is not said, and has to be there
            (folder / part["script"]["path"]).write_text(script)
        whole = completed({} if "script" in part else base, part)
        (folder / "job.json").write_text(json.dumps(whole))
        try:
            load_job("job.json", (), folder)
        except JobError as error:
            found.append(str(error))
    return found


@every_page
def test_every_job_file_is_a_job_or_part_of_one(page: Path, tmp_path: Path) -> None:
    for body in blocks(page, "toml"):
        found = refusals(tomllib.loads(body), tmp_path)
        assert len(found) < len(BASES), f"{body}\n{found}"


@every_page
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        linked = (page.parent / target).resolve()
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.M)
            assert anchor in {h.lower().replace(" ", "-") for h in headings}


@every_page
def test_every_code_and_variable_it_names_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    assert set(re.findall(r"\bE\d{3}\b", text)) <= set(errors.all_errors())
    exported = {compose.UID, compose.GID, compose.DATA, compose.WEIGHTS, f"{compose.GPU}_0"}
    exported |= {f"{compose.READS}_0"}
    assert set(re.findall(r"\bEVENER_\w+", text)) <= {contract.CACHE_VARIABLE} | exported


def test_the_tutorial_quotes_the_message_as_it_is() -> None:
    (page,) = [p for p in PAGES if p.stem == "first-hour"]
    quoted = next(b for b in blocks(page, "text") if b.startswith("error "))
    with pytest.raises(JobError) as caught:
        load_job("demo", ["train.learning_rate=1e-3"])
    assert quoted == f"error {caught.value}\n"


def test_the_profiles_that_are_shown_can_be_read() -> None:
    (shown,) = [body for page in PAGES for body in blocks(page, "json") if "per_sample_s" in body]
    assert profiles.parse(shown, "profiles.json").ranks[0].machine == "oak"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The modules that the pages show, as files in the folder where one stands."""
    for page in PAGES:
        names = re.findall(r"[Hh]ere (?:is )?`(\w+\.py)`", page.read_text("utf-8"))
        for name, body in zip(names, blocks(page, "python") if names else (), strict=True):
            (tmp_path / name).write_text(body)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(contract.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for file in tmp_path.glob("my_*.py"):
        sys.modules.pop(file.stem, None)


def test_the_modules_that_are_shown_do_what_is_said(modules: Path) -> None:
    import numpy as np
    import torch

    from evener import usercode
    from evener.data.prepare import prepare
    from evener.data.sources import open_data
    from evener.engine.task import UserTask
    from evener.models import build_model

    assert {p.name for p in modules.glob("*.py")} == {"my_data.py", "my_model.py", "my_loss.py"}
    job = {
        "model": {"name": "my_model:build", "args": {"width": 8}},
        "data": {"name": "my_data:build", "args": {"count": 50}},
        "train": {"steps": 1, "loss": "my_loss:loss"},
    }
    (modules / "job.json").write_text(json.dumps(job))
    loaded = load_job("job.json").job
    assert prepare(loaded, lambda text, done, total: None).samples == 50
    data = open_data(loaded)
    model = build_model(loaded.model, data.shape, folders=[modules])
    task = UserTask("my_loss:loss", usercode.load_callable("my_loss:loss", [modules]))
    result = task.loss(model, data.train.fetch(np.arange(16), 0), training=True)
    assert result.count == 16
    assert torch.isfinite(result.sum)
    assert set(result.metrics) == {"confidence"}
