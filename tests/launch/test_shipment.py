"""Which files of a script's folder travel, and how the job names them then."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener import contract, ignored
from evener.agent.outputs import Outputs
from evener.config.load import load_job
from evener.errors import BadCombination
from evener.launch import shipment
from evener.rundir import outputs
from evener.rundir.layout import RunDir


@pytest.mark.parametrize(
    ("path", "folder", "out"),
    [
        ("a.pt", False, True),
        ("deep/a.pt", False, True),
        ("keep.pt", False, False),
        ("data", True, True),
        ("deep/data", True, False),
        ("deep/build", True, True),
        ("build", False, False),
        ("docs/a/b/x.txt", False, True),
        ("docs/x.txt", False, True),
        ("part1.bin", False, True),
        ("part.bin", False, False),
    ],
)
def test_lines_are_read_as_git_reads_them(path: str, folder: bool, out: bool) -> None:
    lines = ["# what", "*.pt", "/data", "!keep.pt", "build/", "docs/**/x.txt", "part[0-9].bin", ""]
    assert ignored.is_ignored(path, ignored.rules(lines), folder=folder) is out


def test_a_dockerignore_starts_from_its_folder() -> None:
    known = ignored.rules(["data", "**/*.log"], bound=True)
    assert ignored.is_ignored("data", known, folder=True)
    assert not ignored.is_ignored("deep/data", known, folder=True)
    assert ignored.is_ignored("deep/a.log", known, folder=False)


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_code_goes_into_the_run_and_the_job_finds_it_there(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    write(root, DOTgitignore="\ufeff*.pt\r\n", deep__DOTgitignore="/secret\n", deep__secret="x")
    write(root, deep__trainDOTpy="print(1)", deep__partDOTpy="", bigDOTpt="x" * 99)
    write(root, experiments__old__workDOTpy="", requirementsDOTtxt="einops\ntorch\n")
    run = RunDir(root / "experiments" / "new")
    run.create()
    job, notes = shipment.provided_for(load_job("deep/train.py", (), root).job, run)
    assert job.image.pip == ("einops",)
    assert notes[0].startswith("code: 5 files of ")
    assert notes[1] == "requirements.txt adds einops; passed over: torch"
    shipped = shipment.shipped(job, run)
    home = f"../{contract.WORK}"
    assert (shipped.script.folder, shipped.script.path) == (home, f"{home}/deep/train.py")
    names = {p.relative_to(run.work).as_posix() for p in run.work.rglob("*") if p.is_file()}
    assert names == {
        *(".gitignore", "deep/.gitignore", "deep/part.py", "deep/train.py", "requirements.txt")
    }
    again = load_job("deep/train.py", (), root).job
    script = {"folder": str(run.work), "path": str(run.work / "deep/train.py")}
    there = again.model_copy(update={"script": again.script.model_copy(update=script)})
    (run.work / "deep/train.py").write_text("print(2)")
    assert shipment.shipped(there, run).script == shipped.script
    assert (run.work / "deep/train.py").read_text() == "print(2)"


def test_data_are_found_by_the_paths_that_lead_there_from_the_script(tmp_path: Path) -> None:
    """By no copy: a link, where containers see them at their own path."""
    root = tmp_path / "mine"
    write(root, trainDOTpy="", DOTgitignore="*.bin\n", data__prepareDOTpy="", data__xDOTbin="x")
    write(tmp_path, data__far="x", other__deep__y="y")
    run = RunDir(root / "experiments" / "new")
    run.create()
    reads = 'script.reads=["data", "../data", "../other/deep", "../.."]'
    shipment.shipped(load_job("train.py", (reads,), root).job, run)

    assert (run.work / "data" / "x.bin").read_text() == "x"
    assert (run.path / "data").readlink() == tmp_path / "data"
    assert (run.path / "other" / "deep" / "y").read_text() == "y"
    assert outputs.listing(run).keys() == {"train.py", ".gitignore"}
    there = RunDir(tmp_path / "there" / "new")
    there.create()
    there.code_file.write_bytes(run.code_file.read_bytes())
    came = tmp_path / "cache"
    write(came, xDOTbin="sent")
    Outputs("a01", there, (), {str(root / "data"): str(came)}).unpack()
    assert (there.work / "data" / "x.bin").read_text() == "sent"
    assert (there.path / "data" / "far").read_text() == "x"


def test_what_can_be_no_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipment, "MOST_BYTES", 100)
    write(tmp_path, trainDOTpy="", dataDOTbin="x" * 200)
    with pytest.raises(BadCombination, match=r"the largest file is data\.bin"):
        shipment.shipment(
            load_job("train.py", (), tmp_path).job, RunDir(tmp_path / "experiments" / "train")
        )
