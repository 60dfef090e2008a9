"""What a script writes for TensorBoard below its folder is found, and told."""

from __future__ import annotations

from pathlib import Path

from evener.agent.listening import Listener
from evener.config.schema import Job
from evener.events import Alert, Event, GenerationFormed, ScalarsWritten, StepCommitted
from evener.membership.generation import Ballot, Generation, Member
from evener.rundir import tfevents
from evener.rundir.layout import RunDir

NAME = "events.out.tfevents.1.host"


def test_its_numbers_are_told_and_the_loss_is_the_progress_where_none_is_printed(
    tmp_path: Path,
) -> None:
    run, told = RunDir(tmp_path / "run"), list[Event]()
    run.create()
    own = {"name": "script"}
    job = {
        "model": own,
        "data": own,
        "train": {},
        "script": {"path": "x.py", "kind": "torchrun", "folder": "../work"},
    }
    listener = Listener(Job.model_validate(job), run, told.append)
    members = (Member("a00", 0, 0, "", 0),)
    old, folder = run.work / "runs" / "old", run.work / "runs" / "one"
    for each in (old, folder):
        each.mkdir(parents=True)
    (old / NAME).write_bytes(tfevents.numbers(1.0, 1, {"old": 1.0}))
    listener.begin(Generation(Ballot(1, "a00"), members, -1, 0), 0.0)
    with (folder / NAME).open("ab", buffering=0) as file:
        file.write(tfevents.numbers(1.0, 5, {"Loss/train": 0.5, "lr": 0.1}))
        listener.listen(2.0)
        file.write(tfevents.numbers(2.0, 9, {"acc": 0.75})[:-3])  # it ends in the middle of it
    with (folder / NAME).open("ab") as file:
        file.write(tfevents.numbers(2.0, 9, {"acc": 0.75})[-3:])
    (folder / "a").mkdir()  # as `add_scalars` does
    (folder / "a" / NAME).write_bytes(tfevents.numbers(2.0, 9, {"acc": 0.5}))
    listener.finish(3.0)
    assert [(e.step, e.loss) for e in told if isinstance(e, StepCommitted)] == [(5, 0.5)]
    found = [(e.step, list(e.values)) for e in told if isinstance(e, ScalarsWritten)]
    assert found == [(5, ["lr"]), (9, ["acc"]), (9, ["acc/a"])]
    (note,) = (e.text for e in told if isinstance(e, Alert))
    assert note.endswith("tensorboard --logdir run/work/runs/one")
    assert any(isinstance(e, GenerationFormed) for e in told)
    assert listener.unheard() == ""
