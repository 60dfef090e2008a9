"""The floor plan and the house rules hold, and the checks that hold them can fail."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "evener"
ROOMS = sorted(p for p in SOURCE.rglob("*.py"))
MOST_LINES = 400
NOT_ON_A_HOST = ("torch", "numpy", "safetensors", "PIL", "tiktoken", "torchvision")
HOST_DOORS = (
    "evener.cli.main",
    "evener.api",
    "evener.watch",
    "evener.agent.__main__",
    "evener.head.__main__",
)


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """`lint-imports` over the package under `root`, which goes before the installed one."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_floor_plan_holds() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("room", "wish", "contract"),
    [
        ("units.py", "import torch", "Torch and its company"),
        ("agent/__main__.py", "import numpy", "Torch and its company"),
        ("state.py", "import sqlite3", "Pure rooms do no I/O"),
        ("membership/machine.py", "import time", "Pure rooms do no I/O"),
        ("shares.py", "import pathlib", "Pure rooms touch no files"),
        ("events.py", "import evener.state", "lower floors only"),
        ("probe.py", "import evener.wire", "lower floors only"),
        ("head/__main__.py", "import evener.engine", "knows neither agent nor rank wing"),
        ("rank/group.py", "import evener.launch", "knows neither agent nor host wing"),
        ("models/__init__.py", "import evener.data", "the engine on its rooms"),
        ("launch/base.py", "import evener.api", "verbs on api"),
        ("engine/step.py", "import rich", "speaks to the terminal"),
        ("agent/agent.py", "import evener.head", "The agent knows neither wing"),
        ("wire/line.py", "import uvicorn", "Only the head, the viewer and the pool"),
        ("wire/frames.py", "import pickle", "never unpickled"),
        ("watch.py", "import sqlite3", "Only rundir speaks SQL"),
        ("newcomer.py", "", "lower floors only"),
    ],
)
def test_the_floor_plan_catches(tmp_path: Path, room: str, wish: str, contract: str) -> None:
    shutil.copytree(SOURCE, tmp_path / "src" / "evener")
    shutil.copy(ROOT / ".importlinter", tmp_path)
    file = tmp_path / "src" / "evener" / room
    if not file.exists() and (SOURCE / file.stem / "__init__.py").exists():
        file = file.with_suffix("") / "__init__.py"
    file.write_text((file.read_text() if file.exists() else "") + f"\n{wish}\n")
    done = lint(tmp_path)
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(contract in line for line in broken), done.stdout


@pytest.mark.parametrize("door", HOST_DOORS)
def test_the_host_works_where_torch_is_not_installed(door: str) -> None:
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in NOT_ON_A_HOST)
    done = run(f"import sys; {blocked}; import {door}")
    assert done.returncode == 0, done.stderr


def test_preparing_data_does_not_import_torch() -> None:
    done = run("import evener.data.prepare, sys; assert 'torch' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_every_public_name_of_the_host_door_is_there() -> None:
    done = run(
        "import evener, sys; [getattr(evener, name) for name in evener.__all__];"
        "assert 'torch' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", ROOMS, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_room_says_its_job_in_its_first_line(file: Path) -> None:
    docstring = ast.get_docstring(ast.parse(file.read_text())) or ""
    assert len(docstring.partition("\n")[0].split()) >= 3, f"{file} does not say what it is for"


@pytest.mark.parametrize("file", ROOMS, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_room_is_no_hall(file: Path) -> None:
    lines = len(file.read_text().splitlines())
    assert lines <= MOST_LINES, f"{file} has {lines} lines; split it by job"


@pytest.mark.parametrize("file", ROOMS, ids=lambda p: str(p.relative_to(SOURCE)))
def test_only_the_contract_reads_the_environment(file: Path) -> None:
    readers = {"environ", "environb", "getenv", "getenvb"}
    found = [
        node.lineno
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in readers
    ]
    assert not found or file.name == "contract.py", f"{file}:{found}: ask evener.contract"


def test_the_wall_clock_is_read_for_people_only() -> None:
    """It may be wrong, and jump: who waits for something, or takes somebody for dead, counts by one
    that cannot be set. It stamps what is recorded and says how old that is; a pool's codes lapse by
    it, on the one machine that made them, so does the word that a run is about to start, and a
    certificate for the mesh is renewed by it, for it says itself until when it is good."""
    stamps = {"engine/report.py", "engine/round.py", "engine/boundary.py", "wire/outbox.py"}
    stamps |= {"head/keeper.py", "launch/record.py", "bench.py"}
    ages = {"api.py", "dashboard/app.py", "dashboard/stream.py", "watch.py", "pool/roll.py"}
    ages |= {"pool/mesh.py"}
    clocks = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow")}
    readers = {
        file.relative_to(SOURCE).as_posix()
        for file in ROOMS
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if (node.value.id, node.attr) in clocks
    }
    assert {room for room in readers if not room.startswith("cli/")} == stamps | ages


@pytest.mark.parametrize("file", ROOMS, ids=lambda p: str(p.relative_to(SOURCE)))
def test_nothing_is_left_for_later(file: Path) -> None:
    text = file.read_text()
    assert "NotImplementedError" not in text
    for number, line in enumerate(text.splitlines(), start=1):
        assert "TODO" not in line or "http" in line, f"{file}:{number}: a TODO carries a link"


def test_every_room_has_its_tests() -> None:
    rooms = {p.name for p in SOURCE.iterdir() if (p / "__init__.py").exists()}
    tested = {p.name for p in (ROOT / "tests").iterdir() if any(p.glob("test_*.py"))}
    assert rooms <= tested, f"rooms without tests of their own: {sorted(rooms - tested)}"
