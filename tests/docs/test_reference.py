"""The reference says what the program does, and nothing the program has is missing from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evener import contract, errors, events
from evener.cli.main import VERBS, Verb
from evener.config import keys
from evener.reference import fields
from evener.reference.causes import CAUSES
from evener.reference.pages import pages

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES = pages()
RECORDS = (contract.AgentEnv, contract.RankEnv, contract.HeadEnv)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_would_be_written_now(name: str) -> None:
    again = "make it anew: python -m evener.reference --write"
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name], again


def test_no_page_is_left_of_something_that_is_gone() -> None:
    assert {p.name for p in FOLDER.iterdir()} == set(PAGES)


@pytest.mark.parametrize("table", keys.tables(), ids=lambda t: f"{t.name}-{'-'.join(t.kinds)}")
def test_every_key_stands_in_the_page_with_what_it_takes(table: keys.Table) -> None:
    for key in table.keys:
        row = f"| `{key.name}` | {key.accepts.replace('|', chr(92) + '|')} |"
        assert row in PAGES["job-file.md"], key.path


@pytest.mark.parametrize("code", errors.all_errors())
def test_every_error_says_when_it_happens_and_what_helps(code: str) -> None:
    kind, cause = errors.all_errors()[code], CAUSES[code]
    assert len(cause.when) >= 60
    assert len(cause.then) >= 60
    assert cause.when.endswith(".")
    assert cause.then.endswith(".")
    assert f"## {code}\n\n**{kind.title}.**" in PAGES["errors.md"]


def test_no_error_is_described_that_does_not_exist() -> None:
    assert set(CAUSES) == set(errors.all_errors())


@pytest.mark.parametrize("kind", events.KINDS.values(), ids=lambda k: k.__name__)
def test_every_event_says_what_happened(kind: type) -> None:
    assert len(fields.about(kind)) >= 25, "its docstring is too short for a reference"
    assert f"## {kind.__name__}\n\n{fields.about(kind)[:20]}" in PAGES["events.md"]
    for field in fields.of(kind):
        assert f"| `{field.name}` |" in PAGES["events.md"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_every_variable_between_processes_is_listed(record: type) -> None:
    assert len(fields.about(record)) >= 25
    for field in fields.of(record):
        assert f"`{contract.PREFIX}{field.name.upper()}`" in PAGES["environment.md"]


def test_every_variable_that_a_person_may_set_is_listed() -> None:
    """What the sources ask `contract.user_variable` for is what people can set."""
    source = FOLDER.parents[1] / "src" / "evener"
    asked = re.compile(r'user_variable\((?:"(\w+)"|(?:contract\.)?([A-Z_]+))\)')
    found = {m for path in source.rglob("*.py") for m in asked.findall(path.read_text("utf-8"))}
    names = {literal or getattr(contract, constant) for literal, constant in found}
    assert contract.CACHE_VARIABLE in names
    for name in names:
        assert name in PAGES["environment.md"], name


@pytest.mark.parametrize("verb", [v for vs in VERBS.values() for v in vs], ids=lambda v: v.name)
def test_every_verb_says_what_it_does(verb: Verb) -> None:
    about = PAGES["commands.md"].partition(f"### evener {verb.name}\n")[2].partition("```\n\n")[0]
    assert about.startswith("\n```text\nUsage: ")
    assert "--help" in about
    assert len(verb.help) >= 20
