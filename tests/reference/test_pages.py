"""Making the pages: what is written, what counts as out of date, and the Markdown they are of."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from evener.reference import fields
from evener.reference.markdown import document, paragraph, table
from evener.reference.pages import pages, stale


@dataclass(frozen=True)
class Parcel:
    """What is sent,
    and to whom."""

    address: str
    weight: float = 1.5  # kilograms, wrapping included
    stamps: list[int] = field(default_factory=list)
    _secret: str = "#1"  # a comment after a # in text


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evener.reference", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_comparing_tells_and_writing_mends(tmp_path: Path) -> None:
    before = call(str(tmp_path))
    assert before.returncode == 1
    assert before.stdout.count("is out of date") == len(pages())
    assert call("--write", str(tmp_path)).returncode == 0
    assert stale(tmp_path) == []
    after = call(str(tmp_path))
    assert (after.returncode, after.stdout) == (0, "")


def test_only_what_differs_is_out_of_date(tmp_path: Path) -> None:
    for name, text in pages().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with (tmp_path / "errors.md").open("a") as page:
        page.write("something by hand\n")
    (tmp_path / "events.md").unlink()
    assert stale(tmp_path) == ["events.md", "errors.md"]


def test_pages_are_the_same_each_time() -> None:
    assert pages() == pages()


def test_fields_come_with_their_comments() -> None:
    address, weight, stamps, secret = fields.of(Parcel)
    assert (address.name, address.kind, address.default, address.about) == (
        "address",
        "str",
        "",
        "",
    )
    assert (weight.default, weight.about) == ("1.5", "kilograms, wrapping included")
    assert (stamps.default, stamps.about) == ("[]", "")
    assert secret.name == "_secret"
    assert fields.about(Parcel) == "What is sent, and to whom."


def test_a_table_keeps_bars_in_their_cells_and_leaves_empty_columns_out() -> None:
    made = table(("a", "b", "c"), [("1 | 2", "", "x\ny")])
    assert made == "| a | c |\n| --- | --- |\n| 1 \\| 2 | x y |"


def test_a_page_says_that_it_was_made() -> None:
    title, made, body = document("Title", "Body.", "").split("\n\n")
    assert (title, body) == ("# Title", "Body.\n")
    assert "python -m evener.reference --write" in made


def test_a_paragraph_is_wrapped_between_words() -> None:
    link = "[a-long-link](" + "x" * 120 + ")"
    assert paragraph("one " * 40 + link).splitlines()[-1] == link
