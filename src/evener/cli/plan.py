"""What would be started: the plan with its reasons, and every process with its environment."""

from __future__ import annotations

import shlex
from typing import Any

from rich.text import Text

from evener import placement, variables
from evener.api import Ready
from evener.cli.paper import columns, text
from evener.launch.base import MASK, Rendered
from evener.placement import Limits
from evener.units import show_size


def plan_table(ready: Ready) -> list[Text]:
    """A row per rank. A reason that all of them share is said once, below."""
    plan = ready.plan
    reasons = {rank.reason for rank in plan.ranks}
    limited = any(agent.limits for agent in plan.agents)
    heads = ["rank", "agent", "machine", "device", "threads"]
    heads += ["may use"] * limited + ["why"] * (len(reasons) > 1)
    rows = [[text((head, "dim")) for head in heads]]
    for agent in plan.agents:
        for rank in agent.ranks:
            cells = [str(rank.rank), agent.agent, agent.machine, rank.device, str(rank.threads)]
            cells += [_may_use(agent.limits)] * limited + [rank.reason] * (len(reasons) > 1)
            rows.append([text(cell) for cell in cells])
    lines = columns(rows, right=(0, 4))
    if len(reasons) == 1:
        lines += [text(), text(("why  ", "dim"), reasons.pop())]
    return lines


def _may_use(limits: Limits | None) -> str:
    if limits is None:
        return ""
    numbered = f" ({limits.cpu_affinity})" if limits.cpu_affinity else ""
    parts = [f"{limits.cpus:g} cpus{numbered}", *limits.gpus]
    if limits.memory_bytes:
        parts.append(f"{show_size(limits.memory_bytes)} of memory")
    return ", ".join(parts)


def variable_table(ready: Ready) -> list[Text]:
    """What ranks find in their environment, why, and what of it the job has changed."""
    told = dict(ready.plan.env)
    threads = sorted({rank.threads for rank in ready.plan.ranks})
    sets = [variables.of_rank(number, MASK) for number in threads]
    rows = [[text((head, "dim")) for head in ("variable of a rank", "value", "why")]]
    for own in sets[-1]:
        found = (v.value for each in sets for v in each if v.name == own.name)
        value, why = " or ".join(dict.fromkeys(found)), own.why
        if own.name in told:
            value, why = told.pop(own.name), f"[env] of the job, in place of {value}"
        rows.append([text(own.name), text(value), text(why)])
    for name, value in sorted(told.items()):
        debug = variables.DEBUG.get(name) == value
        rows.append([text(name), text(value), text("--debug" if debug else "[env] of the job")])
    return columns(rows)


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
