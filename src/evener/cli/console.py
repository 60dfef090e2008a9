"""The terminal as it is: encoding, colour, width; and the one printer of errors."""

from __future__ import annotations

import re
import sys
import textwrap
from dataclasses import replace
from io import TextIOWrapper
from typing import TYPE_CHECKING

from evener import contract
from evener.cli.marks import Marks, marks_for
from evener.errors import EvenerError

if TYPE_CHECKING:
    from rich.console import Console

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
PIPED_COLUMNS = 200  # nobody's window: a table in a pipe is not cut for one
ERROR_COLUMNS = 100  # longer lines are hard to read, however wide the window


def prepare_streams() -> None:
    """No sentence of ours, no file name and no text a model wrote may end in UnicodeEncodeError.

    Windows gives a pipe its code page; we write UTF-8 there, as everywhere else today. On a
    terminal of another encoding, what it cannot show becomes a question mark.
    """
    chosen = contract.user_variable("PYTHONIOENCODING")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            if sys.platform == "win32" and not chosen:
                stream.reconfigure(encoding="utf-8", errors="replace")
            else:
                stream.reconfigure(errors="replace")


def out() -> Console:
    """Standard output, for what was asked for."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error, for what was not asked for: notes and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console  # a third of the start of a verb that prints little

    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and not contract.user_variable("COLUMNS"):
        console.width = PIPED_COLUMNS
    return console


def marks_of(console: Console) -> Marks:
    """Without colour, the parts of a bar are told apart by letters."""
    marks = marks_for(console.encoding)
    plain = console.no_color or console.color_system is None
    return replace(marks, block="") if plain else marks


def is_live(console: Console) -> bool:
    """A person watches, on something that can redraw."""
    return console.is_terminal and console.is_interactive and not console.is_dumb_terminal


def note(text: str) -> None:
    """A sentence beside the result: to standard error, so that a pipe stays clean."""
    console = err()
    width = min(console.width - 1, ERROR_COLUMNS)
    console.print(_wrapped("", text, width, "  "), style="dim", soft_wrap=True)


def clean(text: str) -> str:
    """`text` without control characters: a model must not be able to steer the terminal."""
    return _CONTROL.sub("?", text)


def print_error(error: EvenerError) -> None:
    """What happened, where, what next; wrapped, and in colour where there is any."""
    from rich.text import Text

    console = err()
    width = min(console.width, ERROR_COLUMNS)
    head = f"error {error.code}: "
    text = Text(_wrapped(head, error.what, width, "  "))
    text.stylize("bold red", 0, len(head) - 1)
    for label, value in (("  where: ", error.where), ("  next:  ", error.fix)):
        if value:
            text.append("\n")
            text.append(_wrapped(label, value, width, " " * len(label)))
    console.print(text, soft_wrap=True)


def _wrapped(head: str, text: str, width: int, indent: str) -> str:
    """Paragraphs stay paragraphs; words, file names among them, are never broken."""
    first, *others = clean(text).splitlines() or [""]
    lines = textwrap.wrap(
        head + first,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    return "\n".join([*lines, *(indent + line for line in others)])
