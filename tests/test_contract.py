"""The contract: what a launcher puts into an environment is what the process reads."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given

from evener import contract
from evener.contract import AgentEnv, HeadEnv, RankEnv
from tests import drawn

KINDS = (AgentEnv, RankEnv, HeadEnv)
AGENT = AgentEnv("/run", "s3cret", "a00", 2, 3, "127.0.0.1:4000", expected_agents=2)


@pytest.mark.parametrize("kind", KINDS)
def test_an_environment_carries_everything(kind: Any) -> None:
    @given(drawn.of(kind))
    def check(record: Any) -> None:
        environ = contract.to_environ(record)
        assert contract.from_environ(kind, environ) == record
        assert contract.from_environ(kind, environ | {"EVENER_COLOUR": "red"}) == record
        assert all(name.startswith("EVENER_") and name.isupper() for name in environ)
        assert all(isinstance(value, str) for value in environ.values())

    check()


def test_variables_are_named_after_their_fields_and_tell_what_is_not_as_usual() -> None:
    assert contract.to_environ(AGENT) == {
        "EVENER_RUN_DIR": "/run",
        "EVENER_SECRET": "s3cret",
        "EVENER_AGENT": "a00",
        "EVENER_FIRST_RANK": "2",
        "EVENER_RANKS": "3",
        "EVENER_HEAD": "127.0.0.1:4000",
        "EVENER_EXPECTED_AGENTS": "2",
    }


def test_defaults_stand_for_missing_variables_and_nothing_else_does() -> None:
    environ = contract.to_environ(AGENT)
    del environ["EVENER_EXPECTED_AGENTS"]
    read = contract.from_environ(AgentEnv, environ)
    assert isinstance(read, AgentEnv)
    assert read.expected_agents == 1
    assert read.peers == ""
    del environ["EVENER_SECRET"]
    with pytest.raises(TypeError, match="secret"):
        contract.from_environ(AgentEnv, environ)
    with pytest.raises(ValueError, match="invalid literal"):
        contract.from_environ(AgentEnv, environ | {"EVENER_RANKS": "three"})


def test_children_inherit_all_but_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in contract.to_environ(AGENT).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert contract.from_environ(AgentEnv) == AGENT
    inherited = contract.inherited_environ()
    assert inherited["HTTPS_PROXY"] == "http://proxy:3128"
    assert "EVENER_SECRET" not in inherited
    assert set(inherited) <= set(os.environ)
    assert contract.user_variable("HTTPS_PROXY") == "http://proxy:3128"
    monkeypatch.delenv("HTTPS_PROXY")
    assert contract.user_variable("HTTPS_PROXY") is None
