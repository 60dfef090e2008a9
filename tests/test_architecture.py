"""The floor plan and the house rules hold, and the checks that hold them can fail."""

from __future__ import annotations

import ast
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
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


WISHES = (
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
)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `lint-imports` says where every one of these wishes has come true."""
    root = tmp_path_factory.mktemp("plan")
    shutil.copytree(SOURCE, root / "src" / "evener")
    shutil.copy(ROOT / ".importlinter", root)
    for room, wish, _ in WISHES:
        file = root / "src" / "evener" / room
        if not file.exists() and (SOURCE / file.stem / "__init__.py").exists():
            file = file.with_suffix("") / "__init__.py"
        file.write_text((file.read_text() if file.exists() else "") + f"\n{wish}\n")
    done = lint(root)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("room", "wish", "contract"), WISHES)
def test_the_floor_plan_catches(broken: str, room: str, wish: str, contract: str) -> None:
    names = [line for line in broken.splitlines() if line.endswith("BROKEN")]
    assert any(contract in name for name in names), broken
    told = f"{module(room)} -> {wish.removeprefix('import ')} (l." if wish else "newcomer"
    assert told in broken


def module(room: str) -> str:
    return "evener." + room.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


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


@functools.cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def rooms(broken: Callable[[Path], object]) -> list[str]:
    """Those where it is so: one list for all says as much as hundreds of tests, and much sooner."""
    return [str(file.relative_to(SOURCE)) for file in ROOMS if broken(file)]


def test_a_room_says_its_job_in_its_first_line() -> None:
    def is_silent(file: Path) -> bool:
        return len((ast.get_docstring(tree(file)) or "").partition("\n")[0].split()) < 3

    assert rooms(is_silent) == [], "these do not say what they are for"


def test_a_room_is_no_hall() -> None:
    def is_hall(file: Path) -> bool:
        return len(file.read_text().splitlines()) > MOST_LINES

    assert rooms(is_hall) == [], f"these have more than {MOST_LINES} lines; split them by job"


def test_only_the_contract_reads_the_environment() -> None:
    readers = {"environ", "environb", "getenv", "getenvb"}

    def is_reader(file: Path) -> bool:
        nodes = ast.walk(tree(file))
        return any(isinstance(node, ast.Attribute) and node.attr in readers for node in nodes)

    assert rooms(is_reader) == ["contract.py"], "the others ask evener.contract"


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
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if (node.value.id, node.attr) in clocks
    }
    assert {room for room in readers if not room.startswith("cli/")} == stamps | ages


def test_nothing_is_left_for_later() -> None:
    def is_unfinished(file: Path) -> bool:
        return "NotImplementedError" in file.read_text()

    def has_loose_ends(file: Path) -> bool:
        return any("TODO" in line and "http" not in line for line in file.read_text().splitlines())

    assert rooms(is_unfinished) == []
    assert rooms(has_loose_ends) == [], "a TODO carries a link"


def test_every_room_has_its_tests() -> None:
    rooms = {p.name for p in SOURCE.iterdir() if (p / "__init__.py").exists()}
    tested = {p.name for p in (ROOT / "tests").iterdir() if any(p.glob("test_*.py"))}
    assert rooms <= tested, f"rooms without tests of their own: {sorted(rooms - tested)}"
