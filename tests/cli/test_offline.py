"""The conversation with the process that has torch: stand-ins answer as it may."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from evener import errors
from evener.cli import main, offline
from tests.synthetic_run import run_with

STAND_IN = """
import json, sys
verb, run_dir, arguments = sys.argv[1:]
{body}
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a module of the given body where the rank wing's is looked for."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(body: str) -> None:
        (tmp_path / "stand_in.py").write_text(STAND_IN.format(body=body), encoding="utf-8")
        monkeypatch.setattr(offline, "MODULE", "stand_in")

    return write


def test_text_comes_as_it_is_written_and_the_result_at_the_end(stand_in: Any) -> None:
    stand_in(
        "print('a library says hello')\n"
        "print(json.dumps({'text': 'Ωa'}))\n"
        "print(json.dumps({'text': verb + arguments}))\n"
        "print(json.dumps({'result': {'step': 7, 'dir': run_dir}}))"
    )
    heard: list[str] = []
    result = offline.ask("sample", Path("r"), {"tokens": 3}, on_text=heard.append)
    assert heard == ["Ωa", 'sample{"tokens": 3}']
    assert result == {"step": 7, "dir": "r"}


def test_its_error_is_ours(stand_in: Any) -> None:
    error = errors.NoCheckpoint("there is none", where="r", fix="train").to_dict()
    stand_in(f"print(json.dumps({{'error': {error!r}}})); sys.exit(5)")
    with pytest.raises(errors.NoCheckpoint, match="there is none"):
        offline.ask("eval", Path("r"), {})


def test_a_death_without_a_word_tells_the_last_line_it_wrote(stand_in: Any) -> None:
    stand_in("print('Bus error', file=sys.stderr); sys.exit(3)")
    with pytest.raises(errors.StartFailed, match="status 3: Bus error"):
        offline.ask("eval", Path("r"), {})


@pytest.mark.slow
def test_a_process_that_does_not_end_is_ended(
    stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "GRACE_S", 0.2)
    stand_in(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(json.dumps({'result': {}}), flush=True)\n"
        "time.sleep(60)"
    )
    assert offline.ask("eval", Path("r"), {}) == {}


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(errors.ExtraMissing) as caught:
        offline.ask("eval", Path("r"), {})
    assert caught.value.fix == 'pip install "evener[train]"'


def test_sample_prints_prompt_and_text(
    stand_in: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(
        "a = json.loads(arguments)\n"
        "assert a['checkpoint'] == 'best' and a['top_k'] == 5 and a['tokens'] == 9\n"
        "print(json.dumps({'text': ' light'})); print(json.dumps({'result': {'step': 40}}))"
    )
    run = run_with(tmp_path, [])
    call = ["sample", str(run.path), "--prompt", "What", "--tokens", "9", "--top-k", "5"]
    assert main.main(call) == 0
    said = capsys.readouterr()
    assert said.out == "What light\n"
    assert "at step 40" in said.err
    assert main.main([*call, "--json"]) == 0
    document = {"prompt": "What", "text": " light", "step": 40}
    assert json.loads(capsys.readouterr().out) == document


def test_eval_prints_a_table_of_what_was_measured(
    stand_in: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = {"step": 40, "loss": 1.25, "accuracy": 0.875}
    stand_in(f"print(json.dumps({{'result': {result!r}}}))")
    run = run_with(tmp_path, [])
    assert main.main(["eval", str(run.path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run       demo",
        "step      40",
        "loss      1.250",
        "accuracy  87.5 %",
    ]
    assert main.main(["eval", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": "demo", **result}


def test_export_says_where_the_file_is(
    stand_in: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(
        "a = json.loads(arguments)\n"
        "path = a.get('output', 'in-the-run.' + a['format'])\n"
        "print(json.dumps({'result': {'step': 40, 'path': path, 'size_bytes': 2048}}))"
    )
    run = run_with(tmp_path, [])
    assert main.main(["export", str(run.path), "--format", "pth"]) == 0
    shown = capsys.readouterr().out
    assert shown == "in-the-run.pth written (2.0 kB): demo as it was at step 40\n"
    assert main.main(["export", str(run.path), "-o", "x.safetensors", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(Path.cwd() / "x.safetensors")
