"""The recipes that come with evener: complete, commented job files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True, slots=True)
class Recipe:
    """`title` is the file's first line, a comment."""

    name: str
    title: str
    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")


def recipes() -> list[Recipe]:
    """All of them, by name; the demo, which needs nothing, first."""
    found = [_recipe(path) for path in sorted(FOLDER.glob("*.toml"))]
    return sorted(found, key=lambda r: r.name != "demo")


def _recipe(path: Path) -> Recipe:
    with path.open(encoding="utf-8") as lines:
        return Recipe(path.stem, lines.readline().lstrip("# ").strip(), path)
