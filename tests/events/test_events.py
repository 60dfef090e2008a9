"""Events: every kind travels as JSON and comes back; other versions are read, damage is not."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import drawn

from evener import events
from evener.events import kinds

KINDS = sorted(events.KINDS.values(), key=lambda kind: kind.__name__)
ENVELOPE = {"v", "kind", "time", "source", "number"}


def record(event: Any) -> events.Record:
    return events.Record(event=event, time=12.5, source="a00/r3", number=7)


def travelled(item: events.Record) -> dict[str, Any]:
    carried: dict[str, Any] = json.loads(json.dumps(events.to_dict(item)))
    return carried


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_survives_json(kind: type[Any]) -> None:
    @settings(max_examples=15)
    @given(drawn.of(kind), drawn.finite, st.text(), drawn.whole)
    def check(event: Any, time: float, source: str, number: int) -> None:
        item = events.Record(event, time, source, number)
        assert events.from_dict(travelled(item)) == item

    check()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_another_version_adds_is_ignored_and_what_is_missing_is_damage(
    kind: type[Any],
) -> None:
    @settings(max_examples=3)
    @given(drawn.of(kind))
    def check(event: Any) -> None:
        values = travelled(record(event))
        added = values | {"v": 99, "colour": "red", "nested": {"a": [1]}}
        assert events.from_dict(added) == record(event)
        for field in fields(kind):
            without = {k: v for k, v in values.items() if k != field.name}
            if field.default is MISSING and field.default_factory is MISSING:
                with pytest.raises(ValueError, match=f"damaged {kind.__name__} event"):
                    events.from_dict(without)
            else:
                assert events.from_dict(without) is not None

    check()


@pytest.mark.parametrize("key", ["time", "source", "number"])
def test_an_event_without_its_envelope_is_damage(key: str) -> None:
    values = travelled(record(events.AgentEnded("a00")))
    del values[key]
    with pytest.raises(ValueError, match="damaged AgentEnded"):
        events.from_dict(values)


@pytest.mark.parametrize("values", [{}, {"kind": None}, {"kind": "TeaBrewed", "cups": 2}])
def test_a_kind_of_another_version_is_none(values: dict[str, Any]) -> None:
    assert events.from_dict({"time": 1.0, "source": "a", "number": 1} | values) is None


def test_what_is_not_finite_travels_as_null_and_is_nan_again() -> None:
    """JSON has no word for it, and a diverged step must be told all the same."""
    nan, inf = float("nan"), float("inf")
    step = events.StepCommitted(
        1, 0, 8, inf, 8, 8, 0.1, nan, 0.5, 1, metrics={"accuracy": nan, "top5": 1.0}, skipped=True
    )
    text = json.dumps(events.to_dict(record(step)), allow_nan=False)
    carried = events.from_dict(json.loads(text))
    assert carried is not None
    assert isinstance(carried.event, events.StepCommitted)
    assert math.isnan(carried.event.loss)
    assert math.isnan(carried.event.metrics["accuracy"])
    assert carried.event.metrics["top5"] == 1.0
    assert carried.event.grad_norm is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("step", None), ("step", 1.5), ("step", "1"), ("step", 2**63), ("loss", "low"),
        ("metrics", [1]), ("metrics", {"accuracy": "high"}), ("skipped", 1),
        ("time", None), ("time", float("inf")), ("number", "first"), ("number", 2**63),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_damage(key: str, value: Any) -> None:
    step = events.StepCommitted(1, 0, 8, 0.5, 8, 8, 0.1, None, 0.5, 1)
    with pytest.raises(ValueError):  # noqa: PT011  (each says so in its own words)
        events.from_dict(travelled(record(step)) | {key: value})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_field_hides_the_envelope(kind: type[Any]) -> None:
    assert not ENVELOPE & {f.name for f in fields(kind)}


def test_every_event_class_is_a_kind() -> None:
    classes = {
        name
        for name, value in vars(events).items()
        if isinstance(value, type) and value.__module__ == kinds.__name__
    }
    assert classes == set(events.KINDS)
