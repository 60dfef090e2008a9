"""HTML and SVG whose text cannot become markup: every string is escaped where it enters."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

_VOID = ("meta", "br")  # have no end
# Control characters, those that turn the direction of text, and halves of characters.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class Markup:
    """What is markup already: made by `tag`, or a constant of this program."""

    text: str


Child = Markup | str | None
Value = str | int | float | None


def tag(name: str, /, *children: Child, **attributes: Value) -> Markup:
    """An element. `class_` and `stroke_width` are attributes too; one that is None is left out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(_shown(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{shown}>")
    return Markup(f"<{name}{shown}>{group(children).text}</{name}>")


def group(children: Iterable[Child]) -> Markup:
    """Several, one after the other; strings are escaped, None is nothing."""
    return Markup("".join(map(_text, children)))


def _text(child: Child) -> str:
    if child is None:
        return ""
    return child.text if isinstance(child, Markup) else _escaped(child)


def _shown(value: str | int | float) -> str:
    """A coordinate is as fine as a tenth of a point; nobody sees more."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    return html.escape(_UNSEEN.sub("?", text.replace("\r\n", "\n")))
