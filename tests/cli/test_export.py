"""`evener export`: a model where nothing else is said, and what other programs read besides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evener.cli import main
from evener.rundir.layout import RunDir
from tests import synthetic_run
from tests.synthetic_run import Script


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_first_word_that_is_no_export_is_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["nobody"], ["model", "nobody"], ["--format", "pth", "nobody"]):
        assert main.main(["export", *words]) == 5
        assert "there is no run called 'nobody'" in capsys.readouterr().err


def test_the_help_shows_the_models_options_and_the_other_exports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["export", "--help"]) == 0
    shown = capsys.readouterr().out
    for words in ("[RUN | COMMAND]", "--format", "--checkpoint"):
        assert words in shown
    for other in ("compose", "stack", "series", "tensorboard", "grafana"):
        assert other in " ".join(shown.split())


def test_a_folder_for_compose_and_what_to_do_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "compose", "demo", "--workers", "3", "--override", "train.steps=9"]
    assert main.main([*words, "-o", "a folder"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "'a folder' written: demo on 3 machines",
        "  train  cd 'a folder'",
        "         docker compose up",
    ]
    text = (tmp_path / "a folder" / "compose.yaml").read_text(encoding="utf-8")
    assert "\n  machine-2:\n" in text
    assert '"steps": 9' in (tmp_path / "a folder/experiments/demo/configs/job.json").read_text()
    assert main.main(["export", "compose", "demo"]) == 0
    assert (tmp_path / "demo-compose" / "compose.yaml").is_file()


def test_a_folder_for_a_stack_where_no_swarm_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    assert main.main(["export", "stack", "demo", "--workers", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "demo-stack written: demo on 2 machines",
        "  train  cd demo-stack",
        "         docker stack deploy -c stack.yaml demo",
        "  before that, every machine needs the image: README.md there says how",
    ]
    assert main.main(["export", "stack", "resnet18-cifar10"]) == 2
    assert "--workers 3" in " ".join(capsys.readouterr().err.split())


def test_an_override_after_the_wrong_letter_is_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["export", "compose", "demo", "-o", "train.steps=9"]) == 2
    assert "--override train.steps=9" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_is_wrong_leaves_nothing(tmp_path: Path) -> None:
    assert main.main(["export", "compose", "nosuch", "-o", "out"]) == 2
    assert list(tmp_path.iterdir()) == []


# ----------------------------------------------------------------------- for other programs


def made(name: str = "demo") -> RunDir:
    return synthetic_run.run_with(
        Path("experiments"), synthetic_run.records(Script(run=name, steps=60)), name
    )


def test_all_numbers_as_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made()
    assert main.main(["export", "series", "demo", "-o", "numbers.csv"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" written")[0] for line in said] == ["numbers.csv", "numbers-ranks.csv"]
    lines = (tmp_path / "numbers.csv").read_text().splitlines()
    assert lines[0] == "step,time,samples,name,value"
    assert said[0].endswith(f"{len(lines) - 1} rows")
    assert (tmp_path / "numbers-ranks.csv").read_text().startswith("rank,step,time,steps,share,")


def test_tables_are_called_after_the_run_and_their_format_after_their_name(
    tmp_path: Path,
) -> None:
    made()
    assert main.main(["export", "series"]) == 0
    assert main.main(["export", "series", "--format", "parquet"]) == 0
    assert main.main(["export", "series", "-o", "out.parquet"]) == 0
    assert (tmp_path / "demo.csv").read_text().startswith("step,")
    for name in ("demo.parquet", "out.parquet", "demo-ranks.parquet"):
        assert (tmp_path / name).read_bytes().startswith(b"PAR1")


def test_runs_for_tensorboard_lie_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        made(name)
        assert main.main(["export", "tensorboard", name, "-o", "a board"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "  look  tensorboard --logdir 'a board'"
    files = sorted(path.parent.name for path in (tmp_path / "a board").glob("*/*tfevents*"))
    assert files == ["one", "two"]
    assert main.main(["export", "tensorboard", "two", "-o", "a board"]) == 0
    assert len(list((tmp_path / "a board").glob("*/*tfevents*"))) == 2


def test_a_dashboard_for_grafana(tmp_path: Path) -> None:
    assert main.main(["export", "grafana"]) == 0
    assert main.main(["export", "grafana", "-o", "mine.json"]) == 0
    written = (tmp_path / "evener-grafana.json").read_text(encoding="utf-8")
    assert json.loads(written)["title"] == "evener"
    assert (tmp_path / "mine.json").read_text(encoding="utf-8") == written
