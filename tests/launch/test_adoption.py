"""A run of a Swarm is given a home on another manager, or the reason why not is said."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evener import errors
from evener.docker import Engine
from evener.launch.adoption import adopt

INFO = {
    "Swarm": {"LocalNodeState": "active", "ControlAvailable": True, "NodeID": "id-elm",
              "NodeAddr": "10.0.0.2"},
}  # fmt: skip
NODE = {"ID": "id-elm", "Description": {"Hostname": "elm"}, "Spec": {}, "Status": {}}


@dataclass(frozen=True, slots=True)
class _Manager(Engine):
    """With the network of one run, and the services that are left of it."""

    services: tuple[dict[str, Any], ...] = ()
    called: list[tuple[str, ...]] = field(default_factory=list)

    def call(self, *arguments: str, timeout_s: float = 0.0) -> str:
        self.called.append(arguments)
        match arguments:
            case ("info", *_):
                return json.dumps(INFO if "{{json .}}" in arguments else INFO["Swarm"])
            case ("node", "ls", *_):
                return "id-elm\n"
            case ("node", "inspect", *_):
                return json.dumps([NODE])
            case ("service", "inspect", *_):
                return json.dumps(self.services)
        return ""

    def ask(self, *arguments: str, short: bool = False) -> list[dict[str, Any]]:
        if arguments[0] == "network":
            return [{"Name": "evener-first-ab12", "Driver": "overlay"}]
        return [{"ID": "s1"}] if arguments[0] == "service" and self.services else []


def adopted(root: Path, name: str, manager: _Manager) -> None:
    adopt(name, root, lambda text: None, manager)


def test_a_run_that_is_not_in_the_swarm_is_not_found_and_those_that_are_are_named(
    tmp_path: Path,
) -> None:
    with pytest.raises(errors.RunNotFound) as caught:
        adopted(tmp_path, "second", _Manager())
    assert "no runs called second" in caught.value.what
    assert "first" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_a_folder_of_that_name_nothing_is_touched(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    with pytest.raises(errors.RunActive, match="folder of a run called first"):
        adopted(tmp_path, "first", _Manager())
    assert list((tmp_path / "first").iterdir()) == []


def test_a_run_without_agents_leaves_no_half_a_folder(tmp_path: Path) -> None:
    manager = _Manager()
    with pytest.raises(errors.StartFailed) as caught:
        adopted(tmp_path, "first", manager)
    assert "docker volume ls" in caught.value.fix
    assert list(tmp_path.iterdir()) == []
    assert not any(words[:2] == ("service", "create") for words in manager.called)
