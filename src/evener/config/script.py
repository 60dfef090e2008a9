"""The job's [script]: training by a script of the user's in place of a built-in task."""

from __future__ import annotations

import ast
from typing import Literal

from pydantic import Field

from evener.config.section import Section

API = "evener.training"


class ScriptConfig(Section):
    """Your own script trains: it brings the model and the data, and no other table is needed."""

    path: str = Field(
        "", examples=["train.py"], description="The script, relative to the job file. Without it a "
        "built-in task trains, or your own functions do.",
    )  # fmt: skip
    args: tuple[str, ...] = Field((), description="What the script is given on its command line.")
    kind: Literal["auto", "training", "torchrun"] = Field(
        "auto", description="training: a loop over evener.training; torchrun: any other script. "
        "auto looks whether it imports evener.training.",
    )  # fmt: skip


def kind_of(source: str) -> Literal["training", "torchrun"]:
    """What a script is by its text. One that cannot be parsed says so when it is run."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        named = API in source or "evener import training" in source
        return "training" if named else "torchrun"
    return "training" if any(map(_imports_api, ast.walk(tree))) else "torchrun"


def imported(source: str) -> set[str]:
    """The modules that a script imports, by their first names."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return set()
    names = [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
    names += [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom) and not n.level]
    return {name.partition(".")[0] for name in names if name}


def _imports_api(node: ast.AST) -> bool:
    package, _, module = API.rpartition(".")
    if isinstance(node, ast.Import):
        return any(f"{a.name}.".startswith(f"{API}.") for a in node.names)
    if not isinstance(node, ast.ImportFrom) or node.level:
        return False
    here = node.module or ""
    return f"{here}.".startswith(f"{API}.") or (
        here == package and any(a.name == module for a in node.names)
    )
