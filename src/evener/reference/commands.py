"""The page about the commands: what every verb says about itself, from the parser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from evener import errors
from evener.cli.main import VERBS, app
from evener.reference.markdown import code, document, table

WIDTH = 96
_INTRODUCTION = """\
This is what `evener VERB --help` says in the terminal. A RUN is named by its name or its folder;
without one, a verb takes the run that was started last. With `--json` a verb prints for programs,
and nothing else to standard output; notes and errors always go to standard error."""
_BRANCHES = {
    errors.EvenerError: "An error of evener's own.",
    errors.JobError: "The job file, an override or an option is wrong.",
    errors.DataError: "A data file or folder is missing or wrong.",
    errors.CodeError: "Code of your own failed.",
    errors.RunError: "The run's folder or its checkpoints are not as needed.",
    errors.MachineError: "The machine: disk, device, rights, or a missing package.",
    errors.TrainingError: "The training itself failed.",
}


def page() -> str:
    blocks = [_INTRODUCTION, _statuses(), "## evener", _help(typer.main.get_command(app), "evener")]
    for title, verbs in VERBS.items():
        blocks.append(f"## {title}")
        for verb in verbs:
            blocks += _verb(verb.load(), f"evener {verb.name}")
    return document("Commands", *blocks)


def _verb(command: Any, path: str) -> Iterator[str]:
    yield f"### {path}"
    yield _help(command, path)
    for name, child in getattr(command, "commands", {}).items():
        yield from _verb(child, f"{path} {name}")


def _help(command: Any, path: str) -> str:
    context = command.make_context(path, [], resilient_parsing=True, terminal_width=WIDTH)
    return f"```text\n{command.get_help(context)}\n```"


def _statuses() -> str:
    rows = [(code("0"), "It did what was asked.")]
    rows += [(code(str(kind.exit_status)), what) for kind, what in _BRANCHES.items()]
    interrupted = code(str(errors.INTERRUPTED_EXIT_STATUS))
    rows.append((interrupted, "It was interrupted, or the run it showed was stopped."))
    return table(("exit status", "what happened"), rows)
