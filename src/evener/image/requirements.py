"""What a script needs from a package index, as its folder says it: requirements.txt,
pyproject.toml or environment.yml, the first of them that is there.

What every image has is left out: torch above all, whose version the whole run shares.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener import errors
from evener.image.recipe import PACKAGES

FILES = ("requirements.txt", "pyproject.toml", "environment.yml")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\-\[\],=<>!~@:/*]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_YAML_ITEM = re.compile(r"^\s*-\s*([^\s#][^#]*?)\s*(?:#.*)?$")
_CONDA_OWN = {"python", "pip", "pytorch", "pytorch-cuda", "cpuonly", "cudatoolkit", "nomkl"}
# Of another system than an image's.
_ELSEWHERE = re.compile(
    r"(?:sys_platform|platform_system|os_name)\s*==\s*['\"](?:win|darw|nt|Wi|Da)"
)


@dataclass(frozen=True, slots=True)
class Requirements:
    """`packages` as pip takes them; `passed` are lines of `file` that are not for an image."""

    file: str = ""
    packages: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        if not self.file:
            return ""
        has = ", ".join(self.packages) or "nothing that an image has not anyway"
        passed = f"; passed over: {', '.join(self.passed)}" if self.passed else ""
        return f"{self.file} adds {has}{passed}"


def found(folder: Path) -> Requirements:
    """Raises DataDamaged for a file that cannot be read."""
    file = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if file is None:
        return Requirements()
    try:
        match file.suffix:
            case ".txt":
                lines = list(_of_text(file, set()))
            case ".toml":
                lines = _of_pyproject(tomllib.loads(file.read_text("utf-8-sig")))
            case _:
                lines = list(_of_conda(file.read_text("utf-8-sig")))
    except (OSError, ValueError) as error:
        raise errors.DataDamaged(
            f"{file.name} cannot be read: {error}",
            where=str(file),
            fix="mend it; or write what is needed into image.pip, and move it away",
        ) from error
    return _sorted(file.name, lines)


def _sorted(name: str, lines: list[str]) -> Requirements:
    packages, passed = [], []
    for line in lines:
        text, _, marker = line.partition(";")
        plain = re.sub(r"\s+", "", text)
        known = _NAME.match(plain)
        if not _PACKAGE.fullmatch(plain) or known is None:
            passed.append(line)
        elif _key(known[0]) in _ALWAYS or _ELSEWHERE.search(marker):
            passed.append(text.strip())
        else:
            packages.append(plain)
    return Requirements(name, tuple(dict.fromkeys(packages)), tuple(dict.fromkeys(passed)))


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


_ALWAYS = {*map(_key, PACKAGES), "python"}


def _of_text(file: Path, seen: set[Path]) -> Iterator[str]:
    """Lines of a requirements.txt, and of those that it includes."""
    seen.add(file)
    text = file.read_text("utf-8-sig").replace("\\\n", " ")
    for raw in text.splitlines():
        line = _COMMENT.sub("", raw).strip()
        include = re.match(r"(?:-r|--requirement)[ =]*(\S+)", line)
        if include is not None:
            other = file.parent / include[1]
            if other not in seen:
                yield from _of_text(other, seen)
        elif line:
            yield line.partition(" --hash")[0]


def _of_pyproject(values: dict[str, Any]) -> list[str]:
    project = values.get("project", {})
    return [str(each) for each in project.get("dependencies", ())]


def _of_conda(text: str) -> Iterator[str]:
    """The items of `dependencies`, and of `pip` in it: a list of words needs no parser of YAML."""
    inside = False
    for line in text.splitlines():
        if re.match(r"^\S[^:]*:", line):
            inside = line.startswith("dependencies")
        item = _YAML_ITEM.match(line)
        if inside and item is not None:
            word = item[1].strip("\"'").rpartition("::")[2]
            name = _NAME.match(word)
            if name is not None and not word.endswith(":") and _key(name[0]) not in _CONDA_OWN:
                yield _from_conda(word)


def _from_conda(word: str) -> str:
    """`numpy=1.26=py311` is conda's way to say numpy==1.26.*"""
    conda = re.fullmatch(r"([\w.-]+)=([\w.]+)(?:=\S+)?", word)
    return f"{conda[1]}=={conda[2]}.*" if conda else word
