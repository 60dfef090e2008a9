"""What .gitignore and .dockerignore leave out of a folder. Pure: their lines in, a verdict out.

As git reads them: the last line that fits decides, `!` takes a file back in, a slash before the
end binds a pattern to the folder of its file, one at the end to folders. A .dockerignore always
starts from its own folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ALWAYS = (
    *(".git/", "__pycache__/", "*.pyc", ".venv/", "venv/", ".ipynb_checkpoints/"),
    *(".mypy_cache/", ".pytest_cache/", ".ruff_cache/", "node_modules/", ".DS_Store"),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line. `base` is the folder it counts from, "" for the root, else with a slash."""

    base: str
    pattern: re.Pattern[str]
    folders_only: bool
    takes_back: bool

    def fits(self, path: str, *, folder: bool) -> bool:
        if self.folders_only and not folder:
            return False
        return path.startswith(self.base) and bool(self.pattern.fullmatch(path[len(self.base) :]))


def rules(lines: Iterable[str], base: str = "", *, bound: bool = False) -> list[Rule]:
    """`bound`: every pattern starts from `base`, as in a .dockerignore."""
    found = (_rule(line, base, bound) for line in lines)
    return [rule for rule in found if rule is not None]


def is_ignored(path: str, known: Iterable[Rule], *, folder: bool) -> bool:
    """`path` is relative to the root, with slashes. What lies in a folder that is left out is not
    asked about: it is not looked at."""
    ignored = False
    for rule in known:
        if rule.takes_back == ignored and rule.fits(path, folder=folder):
            ignored = not rule.takes_back
    return ignored


def _rule(line: str, base: str, bound: bool) -> Rule | None:
    text = line.rstrip("\n\r")
    text = text if text.endswith("\\ ") else text.rstrip()
    if not text or text.startswith("#"):
        return None
    takes_back, text = text.startswith("!"), text.removeprefix("!")
    text = text.removeprefix("\\")
    folders_only, text = text.endswith("/"), text.rstrip("/")
    text = text.removeprefix("./") if bound else text
    anchored = bound or "/" in text
    body = _translated(text.lstrip("/"))
    pattern = re.compile(body if anchored else f"(?:.*/)?{body}", re.DOTALL)
    return Rule(base, pattern, folders_only, takes_back) if text.strip("/") else None


def _translated(text: str) -> str:
    """A pattern of git's as a regular expression: `**` crosses folders, `*` and `?` do not."""
    out, at = "", 0
    while at < len(text):
        if text.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
        elif text.startswith("**", at):
            out, at = out + ".*", at + 2
        elif text[at] in "*?":
            out, at = out + {"*": "[^/]*", "?": "[^/]"}[text[at]], at + 1
        elif text[at] == "[" and (end := text.find("]", at + 2)) > 0:
            inner = text[at + 1 : end].replace("\\", "\\\\")
            out += f"[{'^' + inner[1:] if inner.startswith(('!', '^')) else inner}]"
            at = end + 1
        else:
            out, at = out + re.escape(text[at]), at + 1
    return out
