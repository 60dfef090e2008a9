"""`evener run` and its neighbours, as far as they go without a training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from evener.cli import main, training
from evener.config.load import load_job, recipes
from evener.errors import RanksLost
from evener.state import RunState


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def output(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main.main(args) == 0
    return capsys.readouterr().out


def test_a_dry_run_shows_plan_reasons_and_processes_and_leaves_no_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = output(capsys, "run", "demo", "--workers", "2", "--dry-run", "-o", "local.agents=2")
    assert shown.startswith("demo  would start in experiments/demo\n")
    assert [line.split()[:2] for line in shown.splitlines()[3:5]] == [["0", "a00"], ["1", "a01"]]
    assert "why  cpu" in shown
    assert "-m evener.head" in shown
    assert shown.count("-m evener.agent") == 2
    assert shown.count("EVENER_SECRET='***'") == 3
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(output(capsys, "run", "demo", "--workers", "2", "--dry-run", "--json"))
    assert document["run"] == "demo"
    assert document["resumed"] is False
    assert {c["purpose"].split()[0] for c in document["commands"]} == {"head", "agent"}
    assert {c["env"]["EVENER_SECRET"] for c in document["commands"]} == {"***"}
    assert sum(len(agent["ranks"]) for agent in document["plan"]["agents"]) == 2


def test_the_exit_status_says_how_a_run_ended() -> None:
    training._end(RunState("finished"))
    with pytest.raises(typer.Exit) as stopped:
        training._end(RunState("stopped"))
    assert stopped.value.exit_code == 130
    with pytest.raises(RanksLost, match="rank 2 died"):
        training._end(RunState("failed", error=RanksLost("rank 2 died").to_dict()))


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output(capsys, "recipes")
    listed = json.loads(output(capsys, "recipes", "--json"))
    assert [r["name"] for r in listed] == [r.name for r in recipes()]
    assert all(f"\n{r['name']} " in "\n" + shown for r in listed)


def test_init_writes_the_recipe_as_it_is_and_never_over_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "evener run demo.toml" in output(capsys, "init", "demo")
    recipe = next(r for r in recipes() if r.name == "demo")
    file = tmp_path / "demo.toml"
    assert file.read_text() == recipe.text
    file.write_text("mine")
    assert main.main(["init", "demo"]) == 2
    assert "demo.toml is there already" in capsys.readouterr().err
    assert file.read_text() == "mine"
    output(capsys, "init", "demo", "--force")
    assert file.read_text() == recipe.text
    (tmp_path / "sub").mkdir()
    output(capsys, "init", "demo", "sub")
    assert (tmp_path / "sub" / "demo.toml").is_file()


def test_config_show_is_a_job_file_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = output(capsys, "config", "show", "demo", "-o", "train.lr=0.25")
    (tmp_path / "shown.json").write_text(shown)
    assert load_job("shown.json").job == load_job("demo", ("train.lr=0.25",)).job
    assert load_job("shown.json").job.train.lr == 0.25


def test_config_schema_is_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert "train" in json.loads(output(capsys, "config", "schema"))["properties"]
