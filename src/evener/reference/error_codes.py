"""The page about errors: every code with its exit status, when it happens and what to do."""

from __future__ import annotations

from evener import errors
from evener.reference.causes import CAUSES
from evener.reference.markdown import document, paragraph

_INTRODUCTION = """\
Every failure is one message of three lines: what happened, with its code; where; and what to do
next. `evener --debug VERB ...` adds where in the code it arose. A run that failed keeps its error:
`evener status RUN` shows it again, and `evener logs RUN` what the processes wrote before it."""


def page() -> str:
    blocks: list[str] = []
    for code, kind in errors.all_errors().items():
        cause = CAUSES[code]
        blocks += [
            f"## {code}",
            f"**{kind.title}.** `{kind.__name__}`, exit status {kind.exit_status}.",
            paragraph(cause.when),
            paragraph(f"*Next:* {cause.then}"),
        ]
    return document("Errors", _INTRODUCTION, *blocks)
