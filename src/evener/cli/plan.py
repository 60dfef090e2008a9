"""What would be started: the plan with its reasons, and every process with its environment."""

from __future__ import annotations

import shlex
from typing import Any

from rich.text import Text

from evener import placement
from evener.api import Ready
from evener.cli.paper import columns, text
from evener.launch.base import Rendered


def plan_table(ready: Ready) -> list[Text]:
    """A row per rank. A reason that all of them share is said once, below."""
    plan = ready.plan
    reasons = {rank.reason for rank in plan.ranks}
    heads = ["rank", "agent", "machine", "device", "threads"] + ["why"] * (len(reasons) > 1)
    rows = [[text((head, "dim")) for head in heads]]
    for agent in plan.agents:
        for rank in agent.ranks:
            cells = [str(rank.rank), agent.agent, agent.machine, rank.device, str(rank.threads)]
            cells += [rank.reason] * (len(reasons) > 1)
            rows.append([text(cell) for cell in cells])
    lines = columns(rows, right=(0, 4))
    if len(reasons) == 1:
        lines += [text(), text(("why  ", "dim"), reasons.pop())]
    return lines


def commands(rendered: Rendered) -> list[Text]:
    """As one would type them: what it is for, the variables, the command."""
    lines: list[Text] = []
    for command in rendered.commands:
        lines.append(text((command.purpose, "bold")))
        lines += [text("  ", f"{k}={shlex.quote(v)}") for k, v in sorted(command.env.items())]
        lines += [text("  ", shlex.join(command.argv)), text()]
    return lines[:-1]


def as_json(ready: Ready, rendered: Rendered) -> dict[str, Any]:
    return {
        "run": ready.name,
        "path": str(ready.run.path),
        "resumed": ready.resumed,
        "plan": placement.to_dict(ready.plan),
        "notes": list(ready.notes),
        "commands": [
            {"purpose": c.purpose, "argv": list(c.argv), "env": dict(c.env)}
            for c in rendered.commands
        ],
    }
