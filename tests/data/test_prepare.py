"""All that can be wrong with data is said before a rank starts, in one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evener import contract, errors
from evener.config.load import job_to_json
from evener.config.schema import Job
from evener.data.dataset import silent
from evener.data.prepare import Counts, prepare
from evener.errors import BadCombination, DataTooSmall, LabelOutOfRange, WrongValue
from evener.rundir.layout import RunDir
from tests.data.jobs import gpt, job, write_mnist, write_tokens


def test_samples_are_counted(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    assert prepare(job({"name": "mnist", "path": str(tmp_path)}), silent) == Counts(12, 5)
    regression = {"name": "synthetic_regression", "samples": 7, "validation_samples": 3}
    assert prepare(job(regression), silent) == Counts(7, 3)


def test_a_batch_larger_than_the_set_is_told(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    wanted = {"name": "mnist", "path": str(tmp_path)}
    with pytest.raises(DataTooSmall, match="12 training samples, and a step takes 13") as caught:
        prepare(job(wanted, train={"global_batch": 13}), silent)
    assert "train.global_batch = 12" in caught.value.fix
    assert prepare(job(wanted, train={"global_batch": 12}), silent).samples == 12


def test_tokens_beyond_the_vocabulary_are_told(tmp_path: Path) -> None:
    write_tokens(tmp_path, below=60)
    wanted = {"name": "tokens", "path": str(tmp_path), "vocabulary": 20}
    with pytest.raises(LabelOutOfRange, match=r"train\.bin has token 59"):
        prepare(job(wanted, gpt()), silent)


def test_the_prompt_must_be_text_that_can_be_learned(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no line break " * 30)
    data = {"name": "text", "path": str(tmp_path / "a.txt")}
    assert prepare(job(data, gpt(), sample={"prompt": "no"}), silent).samples
    with pytest.raises(WrongValue, match=r"the text that is learned has no '\\n'") as caught:
        prepare(job(data, gpt(), sample={}), silent)
    assert caught.value.where == "sample.prompt"
    with pytest.raises(WrongValue, match="the prompt is empty"):
        prepare(job(data, gpt(), sample={"prompt": ""}), silent)


def test_tokens_without_words_cannot_be_sampled(tmp_path: Path) -> None:
    write_tokens(tmp_path, below=60)
    data = {"name": "tokens", "path": str(tmp_path), "vocabulary": 60}
    with pytest.raises(BadCombination, match=r"\[sample\] writes text"):
        prepare(job(data, gpt(), sample={}), silent)


def test_an_empty_validation_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("no_rows.py").write_text(
        "from evener.shape import Shape\n"
        "class Rows(list):\n"
        "    shape = Shape('features', (2,), 1)\n"
        "def build(split): return Rows([1] * 9 if split == 'train' else [])\n"
    )
    with pytest.raises(DataTooSmall, match="validation set has no samples"):
        prepare(job({"name": "no_rows:build"}, {"name": "mlp"}), silent)


def as_process(wanted: Job, tmp_path: Path, before: str = "") -> tuple[int, list[dict[str, Any]]]:
    """What an agent reads; `before` runs in the process ahead of it."""
    run = RunDir(tmp_path / "run")
    run.configs.mkdir(parents=True, exist_ok=True)
    run.job_file.write_text(job_to_json(wanted), "utf-8")
    env = contract.to_environ(contract.RankEnv(str(run.path), "secret", "a00", "127.0.0.1:1"))
    code = f"{before}\nimport runpy; runpy.run_module('evener.data.prepare', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        env={**os.environ, **env},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


NO_TORCH = "import sys; sys.modules['torch'] = None"


def test_the_process_says_counts_and_needs_no_torch(tmp_path: Path) -> None:
    write_mnist(tmp_path / "set", zipped=True)
    wanted = job({"name": "mnist", "path": str(tmp_path / "set")})
    status, lines = as_process(wanted, tmp_path, NO_TORCH)
    assert (status, lines) == (0, [{"ok": True, "samples": 12, "validation_samples": 5}])


def test_the_process_says_progress(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("once upon a time " * 100)
    wanted = job({"name": "text", "path": str(tmp_path / "a.txt")}, gpt())
    status, lines = as_process(wanted, tmp_path, NO_TORCH)
    assert status == 0
    progress = {"text": f"tokenising {tmp_path / 'a.txt'}", "done_bytes": 1700, "total_bytes": 1700}
    assert lines[0] == {"progress": progress}
    assert lines[-1]["ok"] is True


def test_the_process_says_errors_whole(tmp_path: Path) -> None:
    wanted = job({"name": "cifar10", "path": str(tmp_path / "nowhere")})
    status, lines = as_process(wanted, tmp_path, NO_TORCH)
    assert status == errors.DataMissing.exit_status
    assert lines[-1]["ok"] is False
    error = errors.from_dict(lines[-1]["error"])
    assert isinstance(error, errors.DataMissing)
    assert error.where == str(tmp_path / "nowhere")


def test_what_the_users_code_prints_is_no_line(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "import os\n"
        "from evener.shape import Shape\n"
        "print('hello')\n"
        "class Rows(list):\n"
        "    shape = Shape('features', (2,), 1)\n"
        "def build(split):\n"
        "    os.system('echo from a child')\n"
        "    return Rows([1] * 9) if split == 'train' else None\n"
    )
    status, lines = as_process(job({"name": "loud:build"}, {"name": "mlp"}), tmp_path)
    assert (status, lines) == (0, [{"ok": True, "samples": 9, "validation_samples": 0}])


def test_a_defect_is_reported_as_well(tmp_path: Path) -> None:
    broken = "import evener.data.sources as s; s._open = None"
    status, lines = as_process(job({"name": "synthetic_image"}), tmp_path, broken)
    assert status == 1
    assert "TypeError" in lines[-1]["error"]["what"]
