"""Every example runs as plain Python runs it."""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
import torch.distributed as dist

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ARGUMENTS = {
    "before.py": (["--epochs", "1", "--samples", "640"], "right"),
    "after.py": (["--epochs", "1", "--samples", "640"], "validation after step 10"),
    "gan.py": (["--steps", "10"], "radius"),
    "stream.py": (["--lines", "10"], "steps over 10 lines"),
    "ddp_with_checkpoints.py": (["--steps", "10"], "step 10/10: loss"),
    "huggingface.py": (["--steps", "5"], "the model is in counting"),
    "accelerate_loop.py": (["--epochs", "1"], "step 35: loss"),
    "lightning_module.py": (["--steps", "10"], "step 10: loss"),
}


@pytest.fixture(scope="module", autouse=True)
def what_torch_keeps() -> None:
    """Of the first group in a process torch keeps sockets and pipes: they are no example's."""
    dist.init_process_group("gloo", init_method="tcp://127.0.0.1:0", rank=0, world_size=1)
    dist.all_reduce(torch.zeros(1))
    dist.destroy_process_group()


def test_all_are_tried() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


def test_what_the_readme_shows_is_the_difference_between_two_of_them() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"```diff\n(.*?)```", readme, re.S)
    for line in shown.splitlines():
        script = EXAMPLES / {"-": "before.py", "+": "after.py"}[line[0]]
        assert line[1:].strip() in map(str.strip, script.read_text("utf-8").splitlines())


@pytest.mark.parametrize("name", ARGUMENTS)
def test_it_runs(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = ARGUMENTS[name]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLES / name), *arguments])
    monkeypatch.chdir(tmp_path)
    with patch.dict(os.environ):  # of which some libraries make their own
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    told = capsys.readouterr()
    assert words in told.out + told.err


def test_the_loop_of_the_tutorial_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = (EXAMPLES.parent / "docs" / "tutorial" / "your-script.md").read_text("utf-8")
    (tmp_path / "train.py").write_text(re.findall(r"```python\n(.*?)```", page, re.S)[0])
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "train.py")])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(tmp_path / "train.py"), run_name="__main__")
    assert (tmp_path / "model.pt").exists()
