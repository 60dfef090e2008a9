"""User code: found where it lies, and every failure names the user's own file and line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from evener import usercode
from evener.errors import CodeNotImportable, CodeRaised, DataMissing

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Write modules of a user; what was imported of them is forgotten afterwards."""
    path, modules = list(sys.path), set(sys.modules)

    def put(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(dedent(text))
        return file

    yield put
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_function_of_a_package_is_found_and_may_import_its_neighbours(
    write: Write, tmp_path: Path
) -> None:
    write("mine_a/__init__.py", "")
    write("mine_a/models.py", "def build(x):\n    from mine_b import twice\n    return twice(x)\n")
    write("mine_b.py", "def twice(x):\n    return 2 * x\n")
    build = usercode.load_callable("mine_a.models:build", [tmp_path])
    assert usercode.call("mine_a.models:build", build, 21) == 42
    usercode.load_callable("mine_a.models:build", [tmp_path])
    assert sys.path.count(str(tmp_path.resolve())) == 1


def test_a_class_is_callable_too(write: Write, tmp_path: Path) -> None:
    write("mine_c.py", "class Build:\n    def __init__(self, width):\n        self.width = width\n")
    build = usercode.load_callable("mine_c:Build", [tmp_path])
    assert usercode.call("mine_c:Build", build, width=3).width == 3


@pytest.mark.parametrize("reference", ["mine_absent:build", "json.mine_absent:build"])
def test_a_missing_module_says_where_was_looked(reference: str, tmp_path: Path) -> None:
    path = list(sys.path)
    with pytest.raises(CodeNotImportable, match="there is no module") as caught:
        usercode.load_callable(reference, [tmp_path])
    sys.path[:] = path
    assert str(tmp_path.resolve()) in caught.value.fix


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("import mine_absent_too\n", "No module named 'mine_absent_too'", 1),
        ("x = 1\nx = y\n", "NameError: name 'y' is not defined", 2),
        ("x = 1\n\ndef build(:\n", "SyntaxError", 3),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3", 2),
        ("import json\n\njson.loads('?')\n", "JSONDecodeError", 3),
    ],
)
def test_a_module_that_fails_is_blamed_by_its_own_line(
    text: str, said: str, line: int, write: Write, tmp_path: Path
) -> None:
    file = write("mine_broken.py", text)
    with pytest.raises(CodeNotImportable) as caught:
        usercode.load_callable("mine_broken:build", [tmp_path])
    assert said in caught.value.what
    assert caught.value.where == f"{file}:{line}"


@pytest.mark.parametrize(
    ("reference", "said", "fix"),
    [
        ("mine_d:biuld", "has no 'biuld'", "did you mean 'build'?"),
        ("mine_d:other", "has no 'other'", "define other() there"),
        ("mine_d:WIDTH", "'WIDTH' is a int, not a function", "name a function"),
    ],
)
def test_a_name_that_is_no_function_of_the_module(
    reference: str, said: str, fix: str, write: Write, tmp_path: Path
) -> None:
    file = write("mine_d.py", "WIDTH = 3\ndef build():\n    return WIDTH\n")
    with pytest.raises(CodeNotImportable) as caught:
        usercode.load_callable(reference, [tmp_path])
    assert said in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.where == str(file)


def test_what_a_function_raises_is_blamed_by_the_users_deepest_line(
    write: Write, tmp_path: Path
) -> None:
    file = write(
        "mine_e.py",
        """
        import json

        def deeper(text):
            return json.loads(text)

        def build(text):
            return deeper(text)
        """,
    )
    build = usercode.load_callable("mine_e:build", [tmp_path])
    with pytest.raises(CodeRaised, match="mine_e:build raised JSONDecodeError") as caught:
        usercode.call("mine_e:build", build, "?")
    assert caught.value.where == f"{file}:5"
    assert caught.value.__cause__ is not None


def test_wrong_arguments_are_blamed_on_the_function(write: Write, tmp_path: Path) -> None:
    file = write("mine_f.py", "\ndef build(width):\n    return width\n")
    build = usercode.load_callable("mine_f:build", [tmp_path])
    with pytest.raises(CodeRaised, match="unexpected keyword argument 'depth'") as caught:
        usercode.call("mine_f:build", build, depth=2)
    assert caught.value.where == f"{file}:2"


def test_an_error_of_our_own_kind_passes() -> None:
    def build() -> None:
        raise DataMissing("no such file")

    with pytest.raises(DataMissing):
        usercode.call("mine:build", build)


def test_a_builtin_has_no_line_but_is_named() -> None:
    with pytest.raises(CodeRaised) as caught:
        usercode.call("math:sqrt", len, 3)
    assert "len" in caught.value.where
