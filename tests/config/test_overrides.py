"""What `-o KEY=VALUE` means: TOML's values, words without quotes, and nothing for taking out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener.config.overrides import apply, parse, parse_value
from evener.errors import BadOverride


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("3e-4", 3e-4),
        ("1_000", 1000),
        ("true", True),
        ("[64, 64]", [64, 64]),
        ("{a = 1}", {"a": 1}),
        ('"3"', "3"),
        ("'C:\\data'", "C:\\data"),
        ("C:\\new\\train", "C:\\new\\train"),  # no line ends in it
        ("\\\\server\\share", "\\\\server\\share"),
        ("adamw", "adamw"),
        ("5m", "5m"),
        ("True", "True"),
        ("007", "007"),
        ("a#b", "a#b"),
        ("1 # one", "1 # one"),
        ("1, 2", "1, 2"),
        ("1]\nother = [2", "1]\nother = [2"),
        ("ROMEO: what light", "ROMEO: what light"),
        ("/data/x=y.txt", "/data/x=y.txt"),
    ],
)
def test_a_value_is_toml_or_text(text: str, value: Any) -> None:
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@given(st.text())
def test_any_text_is_some_value(text: str) -> None:
    parse_value(text)


@pytest.mark.parametrize(
    "text", ["", "train.lr", "=3", ".lr=3", "train.=3", "tr ain.lr=3", "a..b=1"]
)
def test_what_is_no_override_is_refused(text: str) -> None:
    with pytest.raises(BadOverride) as caught:
        parse(text)
    assert caught.value.where == f"-o {text}"
    assert caught.value.fix


def applied(raw: dict[str, Any], *texts: str) -> dict[str, Any]:
    return apply(raw, map(parse, texts))


def test_a_value_is_set_and_a_table_made_for_it() -> None:
    assert applied({"train": {"lr": 1, "steps": 2}}, "train.lr=3") == {
        "train": {"lr": 3, "steps": 2}
    }
    assert applied({}, "sample.tokens=3", "name=x") == {"sample": {"tokens": 3}, "name": "x"}


def test_the_later_one_wins() -> None:
    assert applied({}, "a.b=1", "a.b=2") == {"a": {"b": 2}}
    assert applied({}, "a.b=1", "a.b=") == {"a": {}}
    assert applied({}, "a.b=", "a.b=1") == {"a": {"b": 1}}


def test_a_key_or_a_table_is_taken_out() -> None:
    raw = {"train": {"epochs": 3, "lr": 1}, "sample": {}}
    assert applied(raw, "train.epochs=", "sample=") == {"train": {"lr": 1}}


def test_taking_out_what_is_not_there_changes_nothing() -> None:
    raw = {"train": {"lr": 1}}
    assert applied(raw, "train.epochs=", "sample.tokens=", "train.lr.x=") == raw


def test_the_file_s_own_values_stay_untouched() -> None:
    raw = {"train": {"lr": 1}}
    applied(raw, "train.lr=2", "train.steps=3")
    assert raw == {"train": {"lr": 1}}
