"""Every recipe is a valid job, explains itself, and is written to be read."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from evener.config.load import load_job
from evener.config.recipes import Recipe, recipes

RECIPES = recipes()
EXPECTED = {
    "bigram": ("bigram", "text"),
    "cifar100-resnet50": ("resnet50", "cifar100"),
    "demo": ("gpt", "text"),
    "fashion-mnist": ("simple_cnn", "fashion_mnist"),
    "gpt2-tokens": ("gpt", "tokens"),
    "imagenet-resnet50": ("resnet50", "imagenet"),
    "linear-regression": ("linear", "synthetic_regression"),
    "mnist": ("simple_cnn", "mnist"),
    "resnet18-cifar10": ("resnet18", "cifar10"),
    "shakespeare-char": ("gpt", "text"),
    "synthetic-images": ("simple_cnn", "synthetic_image"),
}
every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: r.name)


def test_all_recipes_are_there_and_the_demo_is_first() -> None:
    assert {r.name for r in RECIPES} == set(EXPECTED)
    assert RECIPES[0].name == "demo"


@every_recipe
def test_it_is_a_job_of_the_kind_its_name_says(recipe: Recipe, tmp_path: Path) -> None:
    loaded = load_job(recipe.name, (), tmp_path)
    assert (loaded.job.model.name, loaded.job.data.name) == EXPECTED[recipe.name]
    assert (loaded.name, loaded.origin, loaded.folder) == (
        recipe.name,
        f"recipe {recipe.name}",
        tmp_path,
    )


@every_recipe
def test_its_text_as_a_file_of_one_s_own_is_the_same_job(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(recipe.text, encoding="utf-8")
    assert load_job("mine.toml", (), tmp_path).job == load_job(recipe.name, (), tmp_path).job


@every_recipe
def test_it_begins_with_a_sentence_about_itself(recipe: Recipe) -> None:
    assert 30 <= len(recipe.title) <= 61  # `evener recipes` fits into 80 columns
    assert recipe.title.endswith(".")
    assert recipe.text.startswith(f"# {recipe.title}\n#\n")


@every_recipe
def test_its_lines_are_short_and_its_comments_stand_in_one_column(recipe: Recipe) -> None:
    for number, line in enumerate(recipe.text.splitlines(), start=1):
        code, mark, _ = line.partition(" # ")
        assert len(line) <= 98, f"{recipe.name}:{number}"
        if mark and not line.startswith("#"):
            assert len(code) >= 20, f"{recipe.name}:{number}: the comment begins too early"


@every_recipe
def test_every_key_that_does_not_explain_itself_is_explained(recipe: Recipe) -> None:
    explained = {line.split("=")[0].strip() for line in recipe.text.splitlines() if "#" in line}
    tables = tomllib.loads(recipe.text)
    plain = [k for t in tables.values() for k in t if k not in explained]
    known_to_anyone = {
        "name", "steps", "lr", "momentum", "optimizer", "weight_decay", "dropout", "every_steps",
        "every_s", "tokens", "prompt", "samples", "validation_samples", "classes", "device",
        "betas", "label_smoothing", "epochs",
    }  # fmt: skip
    assert set(plain) <= known_to_anyone
