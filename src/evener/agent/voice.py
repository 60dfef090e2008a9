"""Whom an agent's crew speaks to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evener.agent.translate import Letter, Over
from evener.events import Event
from evener.membership import words


@dataclass(frozen=True, slots=True)
class Voice:
    """The record, membership, whoever ends the run, the other agents."""

    emit: Callable[[Event], None]
    forward: Callable[[dict[str, Any]], None]
    tell: Callable[[words.Input], None]
    end: Callable[[Over], None]
    tell_agents: Callable[[Letter], None]
