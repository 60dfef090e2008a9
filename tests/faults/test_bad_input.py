"""Whatever is wrong with a job, its data or its code: one message, a status, nothing left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import runs

TEXT = """
[model]
name = "gpt"
block_size = 32
n_layer = 1
n_head = 1
n_embd = 8

[data]
name = "text"
path = "words.txt"

[train]
global_batch = 4
steps = 3

[membership]
standby = false
"""

USER = """
[model]
name = "mlp"

[data]
name = "mine:build"

[train]
global_batch = 4
steps = 3

[membership]
standby = false
"""

SHAPE = "from evener.shape import Shape\n"
GOOD = SHAPE + (
    "import torch\n"
    "class Data:\n"
    "    shape = Shape('features', (3,), 1)\n"
    "    def __len__(self): return 20\n"
    "    def __getitem__(self, i): return torch.ones(3), torch.ones(1)\n"
)


def failed(folder: Path, job: str, *words: str, **files: str) -> subprocess.CompletedProcess[str]:
    """The outcome of a job that cannot go well: no traceback, and one error, once."""
    (folder / "job.toml").write_text(job)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    done = runs.evener(folder, "run", "job.toml", *words, PYTHONPATH=str(runs.REPOSITORY))
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.count("error E") == 1, done.stderr
    return done


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (("steps = 3", "stps = 3"), "E103", "steps"),
        (("steps = 3", 'steps = "many"'), "E104", "train.steps"),
        (("steps = 3", "steps = 0"), "E104", "train.steps"),
        (("steps = 3", "steps = 3\nepochs = 1"), "E105", "steps"),
        (("steps = 3", "steps = = 3"), "E102", "job.toml:"),
        (('name = "gpt"', 'name = "gtp"'), "E104", "gpt"),
        (("n_head = 1", "n_head = 3"), "E105", "n_embd"),
    ],
)
def test_a_wrong_job_is_told_before_anything_starts(
    tmp_path: Path, change: tuple[str, str], code: str, says: str
) -> None:
    done = failed(tmp_path, TEXT.replace(*change), words__txt="some words " * 100)
    assert done.returncode == 2
    assert code in done.stderr
    assert says in done.stderr
    assert not (tmp_path / "experiments").exists()


@pytest.mark.slow
def test_missing_data_says_what_to_put_where(tmp_path: Path) -> None:
    done = failed(tmp_path, TEXT)
    assert (done.returncode, "E201" in done.stderr) == (3, True)
    assert "words.txt" in done.stderr


@pytest.mark.slow
def test_a_text_too_short_for_its_block(tmp_path: Path) -> None:
    done = failed(tmp_path, TEXT, words__txt="short")
    assert (done.returncode, "E203" in done.stderr) == (3, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("def build(split): return 1/0\n", "E303"),
        (GOOD + "    def bad(self): ...\ndef build(split): return Data\n", "E302"),
    ],
)
def test_user_code_that_does_not_do_is_blamed_by_file(
    tmp_path: Path, code: str, number: str
) -> None:
    """All that it may do wrong: tests/data/test_user.py."""
    done = failed(tmp_path, USER, mine__py=code)
    assert (done.returncode, number in done.stderr) == (4, True), done.stderr
    assert "mine" in done.stderr


@pytest.mark.slow
def test_a_model_that_raises_in_the_middle_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    model = (
        "import torch\n"
        "class Model(torch.nn.Linear):\n"
        "    def forward(self, x): raise ArithmeticError('no more numbers')\n"
        "def build(shape): return Model(3, 1)\n"
    )
    data = GOOD + "def build(split): return Data()\n"
    job = USER.replace('"mlp"', '"own:build"')
    done = failed(tmp_path, job, mine__py=data, own__py=model)
    assert (done.returncode, "E601" in done.stderr) == (7, True)
    assert "no more numbers" in done.stderr
    assert "own.py:3" in done.stderr


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes, where this user may make one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_warns_and_training_goes_on_or_ends_in_words(tiny_disk: Path) -> None:
    job = TEXT.replace("n_embd = 8", "n_embd = 256").replace("steps = 3", "steps = 6")
    (tiny_disk / "job.toml").write_text(job + "[checkpoint]\nevery_steps = 2\n")
    (tiny_disk / "words.txt").write_text("some words " * 100)
    done = runs.evener(tiny_disk, "run", "job.toml", EVENER_CACHE=str(tiny_disk.parent / "cache"))
    assert "Traceback" not in done.stdout + done.stderr
    assert "no space left" in done.stdout + done.stderr
    assert not list(tiny_disk.glob("experiments/*/checkpoints/.partial-*"))
