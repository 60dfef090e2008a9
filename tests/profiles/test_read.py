"""A profiles file is read strictly: what a person got wrong is one message with file and key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener import profiles
from evener.errors import EvenerError, ProfilesBroken
from evener.profiles import to_text
from tests.profiles import found
from tests.profiles.found import LABEL, edited

Edit = Callable[[dict[str, Any]], object]


def test_what_was_written_is_read_again() -> None:
    text = to_text(found.profiles())
    assert profiles.parse(text, LABEL) == found.profiles()
    assert "        [4, 0.05]\n" in text  # a point to a line: it is there to be read


def test_machines_alone_are_profiles_too() -> None:
    alone = found.profiles(ranks=(), links=(), job=None, parameters=None, depends_on={})
    assert profiles.parse(to_text(alone), LABEL) == alone


@pytest.mark.parametrize(
    ("edit", "key", "what"),
    [
        (lambda f: f.pop("machines"), "machines", "'machines' is missing"),
        (lambda f: f["ranks"][1].pop("threads"), "ranks[1].threads", "is missing"),
        (lambda f: f.update(rank=[]), "rank", "nothing reads 'rank'"),
        (lambda f: f["ranks"][0].update(per_sampel_s=1), "ranks[0].per_sampel_s", "nothing reads"),
        (lambda f: f["ranks"][0].update(per_sample_s=-0.1), "ranks[0].per_sample_s", "is -0.1"),
        (lambda f: f["ranks"][0].update(per_sample_s=0), "ranks[0].per_sample_s", "greater than 0"),
        (lambda f: f["ranks"][0].update(fixed_s="fast"), "ranks[0].fixed_s", 'it is "fast"'),
        (lambda f: f["ranks"][0].update(threads=1.5), "ranks[0].threads", "it is 1.5"),
        (lambda f: f["ranks"][0].update(rank=True), "ranks[0].rank", "it is true"),
        (lambda f: f["ranks"][0].update(points=[]), "ranks[0].points", "no point was measured"),
        (lambda f: f["ranks"][0].update(points=[[0, 1.0]]), "ranks[0].points[0][0]", "it is 0"),
        (lambda f: f["ranks"][1].update(rank=0), "ranks[1].rank", "0 stands there twice"),
        (lambda f: f["ranks"][1].update(machine="ash"), "ranks[1].machine", "no machine 'ash'"),
        (lambda f: f["machines"][1].update(name="oak"), "machines[1].name", "'oak' stands there"),
        (lambda f: f["machines"][0].update(cpus=None), "machines[0].cpus", "it is null"),
        (lambda f: f["links"][0].update(to_rank=7), "links[0]", "there is no rank 7"),
        (lambda f: f["links"].append(f["links"][0]), "links[2].from_rank", "0 to 1 stands"),
        (lambda f: f["links"][0].update(bytes_per_s=0), "links[0].bytes_per_s", "greater than 0"),
        (lambda f: f.update(v=2), "v", "version 2; this evener reads 1"),
        (lambda f: f.update(v="1"), "v", "version '1'"),
        (lambda f: f.update(measured_at="last week"), "measured_at", "no date and time"),
    ],
)  # fmt: skip
def test_a_slip_is_one_message_that_names_line_and_key(edit: Edit, key: str, what: str) -> None:
    with pytest.raises(ProfilesBroken, match=r"^E108") as caught:
        profiles.parse(edited(edit), LABEL)
    assert what in caught.value.what
    assert caught.value.where.startswith(LABEL)
    assert caught.value.where.endswith(f": {key}")
    assert caught.value.fix


def test_a_file_without_a_version_is_not_guessed_at() -> None:
    with pytest.raises(ProfilesBroken, match="profiles of version None"):
        profiles.parse(edited(lambda f: f.pop("v")), LABEL)


def test_a_key_that_was_misspelt_is_guessed() -> None:
    with pytest.raises(ProfilesBroken) as caught:
        profiles.parse(edited(lambda f: f["ranks"][0].update(per_sampel_s=1)), LABEL)
    assert caught.value.fix == "did you mean 'per_sample_s'?"
    assert caught.value.where == f"{LABEL}:{_line('per_sampel_s')}: ranks[0].per_sampel_s"


def _line(key: str) -> int:
    lines = edited(lambda f: f["ranks"][0].update(per_sampel_s=1)).splitlines()
    return next(n for n, line in enumerate(lines, 1) if key in line)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", ":1:1"),
        ('{"v": 1,\n "ranks": [}', ":2:12"),
        ("[]", ""),
        ('{"v": 1, "v": 1}', ""),
        ('{"a": ' + "[" * 100_000, ""),
    ],
)
def test_what_is_no_json_says_where(text: str, where: str) -> None:
    with pytest.raises(ProfilesBroken) as caught:
        profiles.parse(text, LABEL)
    assert caught.value.where == LABEL + where


def test_what_is_not_finite_is_no_speed() -> None:
    for word in ("NaN", "Infinity"):
        text = to_text(found.profiles()).replace('"per_sample_s": 0.01', f'"per_sample_s": {word}')
        with pytest.raises(ProfilesBroken, match="finite"):
            profiles.parse(text, LABEL)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING: st.SearchStrategy[Any] = SCALARS | st.just([])


@given(st.data())
def test_whatever_stands_there_is_read_or_refused(data: st.DataObject) -> None:
    values = json.loads(to_text(found.profiles()))
    table = data.draw(st.sampled_from([values, *values["machines"], *values["ranks"]]))
    table[data.draw(st.sampled_from(sorted(table)))] = data.draw(ANYTHING)
    try:
        again = profiles.parse(json.dumps(values), LABEL)
    except EvenerError as error:
        assert isinstance(error, ProfilesBroken)  # noqa: PT017  (or it is read, which is fine too)
    else:
        assert profiles.parse(to_text(again), LABEL) == again
