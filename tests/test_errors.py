"""Errors: one tree with unique codes, and each crosses a process border unharmed."""

from __future__ import annotations

import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener import errors

ALL = errors.all_errors()
GROUPS = {
    "1": (errors.JobError, 2),
    "2": (errors.DataError, 3),
    "3": (errors.CodeError, 4),
    "4": (errors.RunError, 5),
    "5": (errors.MachineError, 6),
    "6": (errors.TrainingError, 7),
}


@given(st.sampled_from(list(ALL.values())), st.text(min_size=1), st.text(), st.text())
def test_an_error_survives_json(
    kind: type[errors.EvenerError], what: str, where: str, fix: str
) -> None:
    error = kind(what, where=where, fix=fix)
    carried = errors.from_dict(json.loads(json.dumps(error.to_dict())))
    assert type(carried) is kind
    assert carried.to_dict() == error.to_dict()
    assert str(carried) == str(error)


def test_an_error_of_another_version_stays_readable() -> None:
    carried = errors.from_dict({"code": "E999", "what": "the moon is full", "phase": 1})
    assert type(carried) is errors.EvenerError
    assert carried.what == "the moon is full"
    assert errors.from_dict({}).what == "no reason was given"


@pytest.mark.parametrize("code", [c for c in ALL if c != "E000"])
def test_code_parent_and_exit_status_agree(code: str) -> None:
    parent, status = GROUPS[code[1]]
    assert issubclass(ALL[code], parent)
    assert ALL[code].exit_status == status
    assert ALL[code].title != errors.EvenerError.title
    assert ALL[code].code == code


def test_every_class_is_either_a_group_or_has_a_code_of_its_own() -> None:
    classes = {
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.EvenerError)
    }
    groups = {parent for parent, _ in GROUPS.values()}
    assert classes - groups == set(ALL.values())
    titles = [kind.title for kind in ALL.values()]
    assert len(set(titles)) == len(titles)


def test_an_error_says_what_where_and_what_next() -> None:
    error = errors.DataMissing("no file x.txt", where="data.path", fix="correct the path")
    assert str(error) == ("E201: no file x.txt\n  where: data.path\n  next:  correct the path")
    assert str(errors.DiskFull("no space")) == "E501: no space"
