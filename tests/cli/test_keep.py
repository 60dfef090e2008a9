"""The head's container of a stack: what was decided comes in, lines and a status go out."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evener import placement
from evener.cli import keep
from evener.cli.begin import sentence
from evener.config.load import job_to_json
from evener.contract import HeadEnv, to_environ
from evener.events import Record, RunEnded
from evener.launch.begin import Begun
from evener.placement import Place, plan_swarm
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.state import EMPTY
from tests.placement.test_placement import job


@pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux")
def test_a_run_that_has_finished_is_told_to_whoever_comes_and_then_it_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, decided = RunDir(tmp_path / "tiny"), tmp_path / "decided"
    decided.mkdir()
    plan = replace(plan_swarm(job(), [Place("", "oak", 4)]), place="stack")
    layout.write_json(decided / "plan.json", placement.to_dict(plan))
    layout.write_atomic(decided / "job.json", job_to_json(job()))
    for name, value in to_environ(HeadEnv(str(run.path), "a secret", expected_agents=0)).items():
        monkeypatch.setenv(name, value)
    run.create()
    with Store.open(run.db, write=True) as store:
        store.append([Record(RunEnded("finished", 0), 1.0, "a00", 1)])
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGPWR)}
    assert keep.main(run, decided) == 0
    for number, handler in before.items():
        signal.signal(number, handler)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "tiny has finished, at step 0: nothing is left to do"
    assert second.startswith("its page is http://MANAGER:7070/?key=")
    assert run.job_file.is_file()


@pytest.mark.parametrize(
    ("begun", "words"),
    [
        (Begun.new, "tiny begins"),
        (Begun.resumed, "it was at step 0"),
        (Begun.going, "training already"),
        (Begun.found, "its record was elsewhere"),
    ],
)
def test_how_it_begins(begun: Begun, words: str) -> None:
    assert words in sentence("tiny", begun, EMPTY)
