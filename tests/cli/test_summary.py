from __future__ import annotations

from pathlib import Path

import pytest

from evener import state
from evener.cli.summary import reference, summary
from evener.rundir.layout import RunDir
from tests.synthetic_run import Script, records


def lines(run: RunDir, script: Script, *, trained_text: bool = True) -> list[str]:
    now = state.fold(records(script))
    return [line.plain for line in summary(run, now, trained_text=trained_text)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.chdir(tmp_path)
    return RunDir(Path("experiments/demo"))


def test_it_says_what_was_reached_where_it_is_and_what_to_do_with_it(run: RunDir) -> None:
    run.create()
    run.path.joinpath("model.safetensors").write_bytes(b"x" * 2048)
    shown = lines(run, Script(run="demo"))
    text = "\n".join(shown)
    assert "demo finished at step 400 of 400 after 43.1 s" in shown
    assert "  validation  loss 1.698, perplexity 5.461" in shown
    assert "  best        loss 1.687 at step 300" in shown
    assert "experiments/demo/checkpoints (last: step 400, best: step 300)" in text
    assert "experiments/demo/model.safetensors (2.0 kB)" in text
    assert 'evener sample demo --prompt "..."' in text
    assert "evener eval demo" in text
    assert "evener export demo --format safetensors" in text
    assert "resume" not in text


def test_a_stopped_run_can_go_on(run: RunDir) -> None:
    assert "  go on    evener resume demo" in lines(run, Script(outcome="stopped"))


def test_what_a_hard_stop_cost_is_said(run: RunDir) -> None:
    hard = lines(run, Script(outcome="stopped", steps=80, checkpoint_every=50))
    assert "  goes on     from step 50, the last checkpoint" in hard
    bare = lines(run, Script(outcome="stopped", steps=80, checkpoint_every=500))
    assert "  goes on     from the beginning: no checkpoint yet" in bare
    soft = lines(run, Script(outcome="stopped", steps=100, checkpoint_every=50))
    assert not any("goes on" in line for line in soft)


def test_a_failed_run_is_explained_elsewhere_but_its_logs_are_named(run: RunDir) -> None:
    error = {"code": "E602", "what": "rank 2 died again and again"}
    text = "\n".join(lines(run, Script(outcome="failed", error=error)))
    assert "evener logs demo" in text
    assert "died again" not in text


def test_what_is_no_text_is_not_asked_to_write(run: RunDir) -> None:
    assert "evener sample" not in "\n".join(lines(run, Script(), trained_text=False))


def test_a_run_elsewhere_is_named_by_its_folder(run: RunDir, tmp_path: Path) -> None:
    assert reference(run) == "demo"
    assert reference(RunDir(tmp_path / "elsewhere" / "demo")) == str(tmp_path / "elsewhere/demo")
