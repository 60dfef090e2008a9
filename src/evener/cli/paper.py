"""Lines of text in columns, exactly as wide as they may be: what the views are set in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from evener.cli.marks import Marks

GAP = 2  # between columns


def text(*parts: str | tuple[str, str] | Text) -> Text:
    """One line from plain parts, (part, style) pairs and other lines."""
    return Text.assemble(*parts, no_wrap=True, end="")


def fit(line: Text, width: int, marks: Marks) -> Text:
    """`line`, cut with a mark where it is too long."""
    if line.cell_len <= width:
        return line
    short = line.copy()
    short.truncate(max(width - len(marks.more), 0), overflow="crop")
    short.append(marks.more[: max(width, 0)])
    return short


def spread(left: Text, right: Text, width: int, marks: Marks) -> Text:
    """`left` at the left edge and `right` at the right one; `right` gives way first."""
    room = width - left.cell_len - right.cell_len
    if room < GAP:
        return fit(left, width, marks)
    return text(left, " " * room, right)


def flow(parts: Iterable[Text | None], width: int) -> Text:
    """Parts side by side as long as they fit; None and what does not fit is left out."""
    line = Text(no_wrap=True, end="")
    for part in parts:
        if part is None or not part.plain:
            continue
        gap = 3 if line.plain else 0
        if line.cell_len + gap + part.cell_len <= width:
            line.append(" " * gap)
            line.append_text(part)
    return line


def columns(rows: Sequence[Sequence[Text]], right: Sequence[int] = ()) -> list[Text]:
    """Rows as lines, each column as wide as its widest cell; those in `right` flush right."""
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        line = Text(no_wrap=True, end="")
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            if number and width:
                line.append(" " * GAP)
            padding = " " * (width - cell.cell_len)
            line.append_text(text(padding, cell) if number in right else text(cell, padding))
        line.rstrip()
        lines.append(line)
    return lines


def wrapped(words: str, width: int) -> list[str]:
    """`words` in lines of at most `width`: its own line breaks stay, long lines are broken."""
    lines: list[str] = []
    for line in words.splitlines():
        pieces = [line[i : i + width] for i in range(0, len(line), width)]
        lines.extend(pieces or [""])
    return lines
