"""Where each key of a job came from: a line of the job file, or an override."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import dataclass
from typing import Any

from evener.config.locate import Path
from evener.config.overrides import Override, parse_value


@dataclass(frozen=True, slots=True)
class Origin:
    """`label` is the file as the person named it, or `recipe NAME`."""

    label: str
    lines: dict[Path, int]
    overrides: tuple[Override, ...] = ()

    def override(self, path: Path) -> Override | None:
        """The override that set `path`, or a table around it; the last one wins."""
        setting = (o for o in reversed(self.overrides) if not o.removes and _concerns(o, path))
        return next(setting, None)

    def line(self, path: Path) -> int | None:
        """The line of `path`; of its table where it is missing itself; None where both are."""
        found = (self.lines.get(path[:depth]) for depth in range(len(path), 0, -1))
        return next((line for line in found if line is not None), None)

    def where(self, path: Path) -> str:
        """`job.toml:12: train.lr`, or `-o train.lr=fast`."""
        override = self.override(path)
        if override:
            return f"-o {override.text}"
        line = self.line(path)
        place = self.label if line is None else f"{self.label}:{line}"
        return f"{place}: {dotted(path)}" if path else place

    def briefly(self, path: Path) -> str:
        """`train.lr (line 12)`: for a list of several."""
        override = self.override(path)
        if override:
            return f"-o {override.text}"
        line = self.lines.get(path)
        return f"{dotted(path)} (missing)" if line is None else f"{dotted(path)} (line {line})"

    def order(self, path: Path) -> tuple[int, int]:
        """What was just typed comes first, then the file from top to bottom, then what it lacks.

        A key that is missing often stands there, misspelt.
        """
        override = self.override(path)
        if override:
            return 0, self.overrides.index(override)
        return (1, self.lines[path]) if path in self.lines else (2, self.line(path) or 0)

    def write(self, path: Path, value: Any) -> str:
        """How `path` is set to `value` where it was set before: ready to be copied."""
        if self.override(path):
            text = value if parse_value(str(value)) == value else shown(value)
            key = ".".join(map(str, path))
            return "-o " + shlex.quote(f"{key}={text}")
        return f"{dotted(path)} = {shown(value)}"


def _concerns(override: Override, path: Path) -> bool:
    """It sets the key itself, a table around it, or made a table of it by a key below."""
    depth = min(len(override.path), len(path))
    return override.path[:depth] == path[:depth] and (depth == len(override.path) or depth > 1)


def dotted(path: Path) -> str:
    """`train.betas[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def shown(value: Any, width: int = 60) -> str:
    """A value as a job file writes it; tables and long ones are cut short."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= width else text[: width - 3] + "..."
