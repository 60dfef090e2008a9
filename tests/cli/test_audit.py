"""`evener audit` says which promises a run kept, and fails where one is broken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evener.cli import main
from evener.config.load import job_to_json
from evener.rundir import checkpoints, layout
from evener.rundir.layout import RunDir
from evener.rundir.ledger import Ledger
from evener.rundir.store import Store
from tests.placement.test_placement import job
from tests.rundir.test_checkpoints import make
from tests.test_audit import committed, line, records


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """Six steps of two ranks, with a checkpoint of the last one."""
    monkeypatch.chdir(tmp_path)
    run = RunDir(tmp_path / "experiments" / "tiny")
    run.create()
    layout.write_atomic(run.job_file, job_to_json(job()))
    for rank in (0, 1):
        written = Ledger(run.ledger(rank), pytest.fail)
        for step in range(1, 7):
            written.write(line(step, 1, rank))
        written.close()
    with Store.open(run.db, write=True) as store:
        store.append(records(*(committed(line(step)) for step in range(1, 7))))
    make(run.checkpoints, 6, 0.1)
    return run


def test_a_run_that_kept_all_says_what_that_is(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["audit", "tiny"]) == 0
    rows = [row.split(maxsplit=2) for row in capsys.readouterr().out.splitlines()]
    assert {kept for _, kept, _ in rows} == {"kept"}
    assert rows[0] == [
        "samples", "kept", "steps 1 to 6 took 40 samples, each in exactly one step",
    ]  # fmt: skip
    assert rows[-1] == ["checkpoint", "kept", "step-00000006 is whole"]


def test_a_broken_promise_is_an_error(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    again = Ledger(run.ledger(1), pytest.fail)
    again.write(replace(line(6, 1, 1), loss=9.0))
    again.close()
    newest = checkpoints.folder_of(run.checkpoints, 6)
    (newest / "model.safetensors").write_bytes(b"noise")
    assert main.main(["audit", "tiny"]) == 5
    shown = capsys.readouterr()
    assert "BROKEN" in shown.out
    assert "E408: tiny did not keep: sums, checkpoint" in shown.err


def test_the_findings_as_json(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["audit", "tiny", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["run"] == "tiny"
    assert [found["promise"] for found in said["findings"]] == [
        "samples", "history", "undone", "sums", "replicas", "order", "record", "checkpoint",
    ]  # fmt: skip
    assert all(found["kept"] for found in said["findings"])


def test_a_run_without_a_step(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    for file in run.ledgers().values():
        file.unlink()
    assert main.main(["audit", "tiny"]) == 0
    assert "no rank has taken a step" in capsys.readouterr().out
