"""Orders: every one travels as JSON and comes back; a stranger's line is a ValueError at most."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evener import orders
from evener.membership.generation import Ballot, Generation, Member
from tests import drawn

KINDS = get_args(orders.Order)


def travelled(order: orders.Order) -> dict[str, Any]:
    carried: dict[str, Any] = json.loads(json.dumps(orders.to_dict(order)))
    return carried


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_order_survives_json_and_what_another_version_adds(kind: type[Any]) -> None:
    @settings(max_examples=15)
    @given(drawn.of(kind))
    def check(order: Any) -> None:
        assert orders.from_dict(travelled(order)) == order
        assert orders.from_dict(travelled(order) | {"colour": "red"}) == order

    check()


def test_what_another_version_adds_inside_is_ignored_too() -> None:
    members = (Member("a00", 0, 0, "127.0.0.1", 4000), Member("a01", 1, 2, "127.0.0.1", 4001))
    order = orders.Form(Generation(Ballot(3, "a00"), members, step=17, source=1))
    values = travelled(order)
    values["generation"]["lease"] = 5
    values["generation"]["ballot"]["term"] = 5
    values["generation"]["members"][1]["speed"] = 5
    assert orders.from_dict(values) == order


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"order": "Dance"},
        {"order": "Halt", "urgent": True},
        {"order": "Halt", "urgent": True, "ballot": 5},
        {"order": "Halt", "urgent": True, "ballot": {"number": 1}},
        {"order": "Form", "generation": {"ballot": {"number": 1, "agent": "a"}, "members": 3}},
        {"order": "Report", "events": 5},
    ],
)
def test_what_is_no_order_is_a_value_error(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not an order|malformed"):
        orders.from_dict(values)


@given(
    st.sampled_from([k.__name__ for k in KINDS]),
    st.dictionaries(
        st.sampled_from(["ballot", "generation", "events", "step", "error"])
        | st.text(max_size=5).filter(lambda key: key != "order"),
        drawn.json_values,
    ),
)
def test_no_line_of_json_raises_anything_but_value_error(name: str, values: dict[str, Any]) -> None:
    try:
        order = orders.from_dict({"order": name} | values)
    except ValueError:
        return
    assert type(order).__name__ == name


def test_no_field_hides_the_name_of_the_order() -> None:
    assert all("order" not in kind.__dataclass_fields__ for kind in KINDS)
