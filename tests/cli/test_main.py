"""The command as a whole: fast to load, complete in its help, clear when it is called wrongly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evener.cli import main
from evener.cli.main import BY_NAME

HEAVY = ("torch", "pydantic", "starlette", "numpy", "rich", "sqlite3", "uvicorn")


def evener(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evener", *args],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_the_list_of_verbs_loads_nothing_heavy() -> None:
    code = (
        "import sys; from evener.cli.main import main; status = main(['--help']);"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules];"
        "assert status == 0 and not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", ["ps", "status", "logs", "run", "sample"])
def test_no_verb_loads_what_only_ranks_and_the_head_need(verb: str) -> None:
    code = (
        f"import sys; from evener.cli.main import main; main([{verb!r}, '--help']);"
        "heavy = [n for n in ('torch', 'numpy', 'starlette', 'uvicorn') if n in sys.modules];"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in BY_NAME.values():
        assert f"\n  {verb.name} " in shown
        assert verb.help in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("verb", list(BY_NAME))
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: evener {verb} ")
    purpose = shown.splitlines()[2].strip()
    assert len(purpose.split()) >= 3
    assert max(map(len, shown.splitlines())) <= 80


def test_every_option_of_every_verb_is_explained() -> None:
    for verb in BY_NAME.values():
        command = verb.load()
        commands = getattr(command, "commands", {"": command}).values()
        for each in commands:
            unexplained = [p.name for p in each.params if not getattr(p, "help", None)]
            assert not unexplained, (verb.name, unexplained)


def test_without_a_verb_the_list_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 2
    assert "Watch and stop:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "what", "fix"),
    [
        (["statsu"], "there is no verb 'statsu'", "did you mean `evener status`?"),
        (["xyzzy"], "there is no verb 'xyzzy'", "`evener --help` lists the verbs"),
        (["run"], "Missing argument 'JOB'", "evener run --help"),
        (["run", "demo", "--workrs", "2"], "--workrs", "evener run --help"),
        (["run", "demo", "--on", "moon"], "'--on'", "evener run --help"),
        (["config", "shoe"], "shoe", "evener config --help"),
    ],
)
def test_a_wrong_call_is_an_error_like_any_other(
    args: list[str], what: str, fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(args) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error E107: ")
    assert what in said.err
    assert f"  next:  {fix}" in said.err


def test_an_unexpected_failure_is_one_sentence_and_a_traceback_only_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(verb: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr(main.Verb, "load", fail)
    assert main.main(["ps"]) == 1
    quiet = capsys.readouterr().err
    assert "ZeroDivisionError: nobody thought of this" in quiet
    assert "Traceback" not in quiet
    assert main.main(["--debug", "ps"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_ends_any_verb_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(verb: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main.Verb, "load", interrupted)
    assert main.main(["ps"]) == 130


def test_an_error_has_the_exit_status_of_its_class(tmp_path: Path) -> None:
    assert evener("run", "no-such-file.toml", cwd=tmp_path).returncode == 2
    assert evener("status", "nobody", cwd=tmp_path).returncode == 5


def test_the_version_is_shown(tmp_path: Path) -> None:
    import evener as package

    done = evener("--version", cwd=tmp_path)
    assert done.stdout == f"evener {package.__version__}\n"


def test_a_code_page_cannot_make_a_verb_fail(tmp_path: Path) -> None:
    done = evener("status", "Ω", cwd=tmp_path, PYTHONIOENCODING="cp1252")
    assert done.returncode == 5, done.stderr
    assert "no run called '?'" in done.stderr


def test_a_verb_whose_reader_leaves_says_nothing_about_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "evener", "config", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        process.wait(30)
    assert said == b""
