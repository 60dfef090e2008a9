"""What is printed to be typed again: as the shell of the system takes it."""

from __future__ import annotations

import pytest

from evener.cli.typed import typed


@pytest.mark.parametrize(
    ("word", "sh", "windows"),
    [
        ("mnist-2", "mnist-2", "mnist-2"),
        (r"C:\runs\mnist", r"'C:\runs\mnist'", r"C:\runs\mnist"),
        (r"C:\my runs\one", r"'C:\my runs\one'", r'"C:\my runs\one"'),
        ("a & b", "'a & b'", '"a & b"'),
        ("a^b;(c)", "'a^b;(c)'", '"a^b;(c)"'),
        ("it's", "'it'\"'\"'s'", '"it\'s"'),
        ("", "''", '""'),
    ],
)
def test_quotes_are_those_of_the_shell(word: str, sh: str, windows: str) -> None:
    assert typed("cd", word, windows=False) == f"cd {sh}"
    assert typed("cd", word, windows=True) == f"cd {windows}"
