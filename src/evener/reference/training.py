"""The page about `evener.training`: what a script may call, from its signatures and docstrings.

Read from the source and not imported: it is of the wing that has torch, and this page needs none.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from evener.reference.markdown import code, document, paragraph

_PACKAGE = Path(__file__).resolve().parent.parent / "training"
_INTRODUCTION = """\
What a script calls that trains by `evener.training`. The tutorial is
[your script](../tutorial/your-script.md); all of it works under plain `python` too."""


def page() -> str:
    blocks = [_INTRODUCTION, "```python" + _example() + "```"]
    for function in _public(ast.parse(_text("start.py")).body):
        blocks += _function(function, "training.")
    for node in ast.parse(_text("run.py")).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            blocks.append("## A run")
            for method in _public(node.body):
                blocks += _function(method, "run.")
    return document("evener.training", *blocks)


def _text(name: str) -> str:
    return (_PACKAGE / name).read_text(encoding="utf-8")


def _example() -> str:
    """The one in the package's own docstring."""
    about = inspect.cleandoc(ast.get_docstring(ast.parse(_text("__init__.py"))) or "")
    lines = about.splitlines()
    shown = [line for line in lines if line.startswith("    ") or not line]
    return inspect.cleandoc("\n".join(shown)).join(("\n", "\n"))


def _public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    for node in body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        if "overload" not in map(ast.unparse, node.decorator_list):
            yield node


def _function(node: ast.FunctionDef, owner: str) -> Iterator[str]:
    name = f"{owner}{node.name}"
    if "property" in map(ast.unparse, node.decorator_list):
        yield f"### {name}"
        yield f"{code(ast.unparse(node.returns)) if node.returns else ''}, to be read."
    else:
        arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("self")
        result = ast.unparse(node.returns) if node.returns else "None"
        yield f"### {name}()"
        yield f"```python\n{name}({arguments}) -> {result}\n```"
    for part in (ast.get_docstring(node) or "").split("\n\n"):
        yield paragraph(part)
