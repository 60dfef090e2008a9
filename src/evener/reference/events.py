"""The page about events: every kind with its fields, from their docstrings and comments."""

from __future__ import annotations

from evener.events import KINDS, VERSION
from evener.reference import fields
from evener.reference.markdown import code, document, paragraph, table

_INTRODUCTION = f"""\
Everything a run does is recorded as events, in the table `events` of the run's `run.db`; every
view of a run is made of them and of nothing else. `evener run JOB --json` prints them as they
come, one JSON object a line.

Each event has `kind`, `time` (seconds since 1970 by the clock of who reports it), `source` and
`number` (together unique: what arrives twice is stored once), and `v`, the version of the format,
now {VERSION}. A reader ignores kinds and fields that it does not know."""


def page() -> str:
    blocks: list[str] = []
    for name, kind in KINDS.items():
        blocks += [f"## {name}", paragraph(fields.about(kind)), _fields(kind)]
    return document("Events", _INTRODUCTION, *blocks)


def _fields(kind: type) -> str:
    rows = [(code(f.name), code(f.kind), f.about) for f in fields.of(kind)]
    return table(("field", "type", "what it is"), rows)
