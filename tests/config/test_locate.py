"""Lines of keys: every key of a document is found, and on the line where it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener.config.locate import Path, json_lines, toml_lines

TOML = '''\
# a comment with [brackets] and key = "value"
name = "x # no comment"
"quoted key" = 1
top.dotted.deep = 2

[train]   # the table
betas = [ 0.9,  # a comment, with ] in it
  0.99,
]
text = """
fake = 1
[fake]
"""
literal = 'C:\\data' # a path
inline = { a = 1, b.c = [1, {z = 2}] }
when = 1979-05-27 07:32:00
escaped = "a \\" quote"
empty = {}

[ model . "args" ]
k = true
[[fruit]]
x = 1
[fruit.skin]
y = 2
[[fruit]]
x = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("quoted key",), 3),
        (("top",), 4),
        (("top", "dotted", "deep"), 4),
        (("train",), 6),
        (("train", "betas"), 7),
        (("train", "betas", 0), 7),
        (("train", "betas", 1), 8),
        (("train", "text"), 10),
        (("train", "literal"), 14),
        (("train", "inline"), 15),
        (("train", "inline", "a"), 15),
        (("train", "inline", "b", "c", 1, "z"), 15),
        (("train", "when"), 16),
        (("train", "escaped"), 17),
        (("train", "empty"), 18),
        (("model",), 20),
        (("model", "args"), 20),
        (("model", "args", "k"), 21),
        (("fruit",), 22),
        (("fruit", 0, "x"), 23),
        (("fruit", 0, "skin", "y"), 25),
        (("fruit", 1), 26),
        (("fruit", 1, "x"), 27),
    ],
)
def test_a_key_of_toml_is_on_its_line(path: Path, line: int) -> None:
    assert toml_lines(TOML)[path] == line


def test_text_in_strings_and_comments_is_no_key() -> None:
    assert not [path for path in toml_lines(TOML) if "fake" in path or "key" in path]


@pytest.mark.parametrize(
    "text", ["", "\n", "# only a comment", "a = 1", "a = 1 # end", "\r\na = 1"]
)
def test_short_documents_end(text: str) -> None:
    assert toml_lines(text) in ({}, {("a",): 1}, {("a",): 2})


WORDS = st.text("ab{}[]#=',:. ", max_size=6)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS
KEYS = st.text("abc_-", min_size=1, max_size=5)
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_size=4,
)


def paths(value: Any, path: Path = ()) -> list[Path]:
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [p for key, child in inner for p in ((*path, key), *paths(child, (*path, key)))]


@given(DOCUMENTS)
def test_every_path_of_any_json_is_found_on_a_line_that_names_it(document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=1)
    found = json_lines(text)
    assert sorted(found, key=str) == sorted(paths(document), key=str)
    for path, line in found.items():
        if isinstance(path[-1], str):
            assert f'"{path[-1]}":' in text.splitlines()[line - 1]


@given(DOCUMENTS)
def test_json_on_one_line_is_read_as_well(document: dict[str, Any]) -> None:
    assert set(json_lines(json.dumps(document)).values()) <= {1}
