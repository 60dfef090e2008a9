"""Batches are the same with workers and without, and workers never outlive their rank."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
import pytest
import torch

from evener.config.schema import Loading
from evener.data import loader
from evener.data.dataset import Ids, Source
from evener.data.loader import Request, Stream, ahead
from evener.data.sources import open_data
from evener.errors import (
    CodeRaised,
    CodeReturnedWrong,
    DataDamaged,
    DiskFull,
    EvenerError,
    OutOfMemory,
    RankFailed,
)
from tests.data.jobs import job, write_cifar10

pytestmark = pytest.mark.slow
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module", autouse=True)
def _fork_server() -> Iterator[None]:
    """A rank keeps its fork server for the next stream. So do these tests, to the last of them."""
    if sys.platform != "linux":
        yield
        return
    loader._context()
    forkserver.ensure_running()
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


class Numbers:
    """Sample i is i, in an epoch e i + 1000 e; some of them are trouble."""

    def __init__(self, trouble: dict[int, str] | None = None) -> None:
        self.trouble = trouble or {}

    def __len__(self) -> int:
        return 1000

    def fetch(self, ids: Ids, epoch: int) -> tuple[torch.Tensor, ...]:
        for number in ids.tolist():
            self._trouble(self.trouble.get(number, ""))
        values = torch.from_numpy(ids + 1000 * epoch)
        return values, torch.ones(len(ids))

    def _trouble(self, kind: str) -> None:
        if kind == "damaged":
            raise DataDamaged("picture 7 is damaged", where="7.png", fix="copy it anew")
        if kind == "defect":
            raise KeyError("no such sample")
        if kind == "slow":
            time.sleep(60)
        if kind.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, kind))
        if kind == "exit":
            os._exit(3)


def requests(count: int, size: int = 3, drawn: list[int] | None = None) -> Iterator[Request]:
    """Every fifth asks for nothing."""
    for step in range(count):
        if drawn is not None:
            drawn.append(step)
        ids = np.arange(step * size, step * size + (0 if step % 5 == 4 else size))
        yield Request(step, step % 3, ids)


def collect(source: Source, count: int, workers: int, prefetch: int = 2) -> list[object]:
    with Stream(source, requests(count), workers, prefetch) as stream:
        return [
            (r.step, r.epoch, None if batch is None else [part.tolist() for part in batch])
            for r, batch in stream
        ]


def test_ahead_is_what_workers_prefetch() -> None:
    assert ahead(Loading(workers=0, prefetch=4)) == 0
    assert ahead(Loading(workers=3, prefetch=4)) == 12


def test_inline_batches_come_in_order_and_nothing_is_drawn_early() -> None:
    drawn: list[int] = []
    with Stream(Numbers(), requests(12, drawn=drawn), 0, 2) as stream:
        for step, (request, batch) in enumerate(stream):
            assert request.step == step == drawn[-1]
            assert (batch is None) == (step % 5 == 4)
    assert len(drawn) == 12


@pytest.mark.parametrize(("workers", "prefetch"), [(1, 1), (2, 2)])
def test_workers_give_what_the_rank_itself_would(workers: int, prefetch: int) -> None:
    assert collect(Numbers(), 23, workers, prefetch) == collect(Numbers(), 23, 0)


def test_real_sources_travel_to_workers(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    source = open_data(job({"name": "cifar10", "path": str(tmp_path)})).train
    assert collect(source, 3, 2) == collect(source, 3, 0)


def test_the_users_own_module_is_found_by_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("their_rows.py").write_text(
        "from evener.shape import Shape\n"
        "class Rows:\n"
        "    shape = Shape('features', (1,), 1)\n"
        "    def __len__(self): return 100\n"
        "    def __getitem__(self, i): return [1.0][i // 9] + i, float(i)\n"
        "def build(split): return Rows() if split == 'train' else None\n"
    )
    source = open_data(job({"name": "their_rows:build"}, {"name": "mlp"})).train
    assert collect(source, 3, 1) == collect(source, 3, 0)
    with Stream(source, requests(9), 1, 1) as stream, pytest.raises(CodeRaised) as caught:
        list(stream)
    assert caught.value.where.endswith("their_rows.py:5")


def test_no_more_is_drawn_early_than_ahead_says() -> None:
    drawn: list[int] = []
    with Stream(Numbers(), requests(30, drawn=drawn), 2, 3) as stream:
        for request, _ in stream:
            assert len(drawn) - 1 - request.step <= ahead(Loading(workers=2, prefetch=3))
    assert drawn == list(range(30))


def test_the_ranks_own_random_numbers_stay() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    collect(Numbers(), 3, 1)
    assert torch.equal(torch.rand(1), expected)


def test_leaving_early_ends_the_workers() -> None:
    with Stream(Numbers(), requests(1000), 2, 2) as stream:
        next(iter(stream))
        assert len(multiprocessing.active_children()) == 2
    assert multiprocessing.active_children() == []
    with pytest.raises(StopIteration):
        next(stream)


def test_an_error_for_a_person_arrives_whole() -> None:
    with Stream(Numbers({4: "damaged"}), requests(9), 2, 2) as stream:
        assert next(stream)[0].step == 0
        with pytest.raises(DataDamaged, match="picture 7 is damaged") as caught:
            next(stream)
    assert (caught.value.where, caught.value.fix) == ("7.png", "copy it anew")
    assert multiprocessing.active_children() == []


def test_a_defect_arrives_with_its_trace() -> None:
    with (
        Stream(Numbers({4: "defect"}), requests(9), 1, 1) as stream,
        pytest.raises(KeyError, match="_trouble"),
    ):
        list(stream)


@linux
@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("SIGKILL", OutOfMemory, "most likely because memory ran out"),
        ("SIGBUS", DiskFull, "no room in shared memory"),
        ("exit", RankFailed, "ended with status 3"),
    ],
)
def test_a_worker_that_dies_is_told(kind: str, error: type[EvenerError], told: str) -> None:
    with (
        Stream(Numbers({4: kind}), requests(9), 1, 1) as stream,
        pytest.raises(error, match=told) as caught,
    ):
        list(stream)
    assert "data.workers = 0" in caught.value.fix


class Unsendable(Numbers):
    def __init__(self) -> None:
        super().__init__()
        self.made_here = lambda: None


@pytest.mark.filterwarnings("ignore:Got pickle error")
def test_data_that_cannot_be_sent_is_told() -> None:
    with (
        Stream(Unsendable(), requests(9), 1, 1) as stream,
        pytest.raises(CodeReturnedWrong, match="cannot be sent to loader processes") as caught,
    ):
        next(stream)
    assert "data.workers = 0" in caught.value.fix


RANK = """
import sys, time
from evener.data.loader import Stream
from tests.data.test_loader import Numbers, requests
if __name__ == "__main__":
    with Stream(Numbers({40: "slow"}), requests(1000), 2, 2) as stream:
        next(stream)
        print("ready", flush=True)
        time.sleep(60)
"""


def processes_with(marker: str) -> list[int]:
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and marker.encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue  # ended while we looked
    return found


@linux
def test_a_killed_rank_leaves_no_worker(tmp_path: Path) -> None:
    """Neither idle ones, nor one that is in the middle of a batch, nor their server."""
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    marker = f"TEST_OF_LOADER={tmp_path}"
    root = Path(__file__).resolve().parent.parent.parent
    env = {**os.environ, "TEST_OF_LOADER": str(tmp_path), "PYTHONPATH": str(root)}
    rank = subprocess.Popen([sys.executable, "-B", script], env=env, stdout=subprocess.PIPE)
    try:
        assert rank.stdout is not None
        assert rank.stdout.readline() == b"ready\n"
        assert len(processes_with(marker)) >= 4  # the rank, its server, two workers
    finally:
        rank.kill()
        rank.wait()
        rank.stdout.close()  # type: ignore[union-attr]
    deadline = time.monotonic() + 60
    while processes_with(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(marker) == []


@linux
def test_a_worker_inherits_no_socket_of_the_rank() -> None:
    """Else the rank's peers would see its connections open after its death."""
    ours, theirs = socket.socketpair()
    with ours, theirs, Stream(Numbers(), requests(100), 1, 1) as stream:
        next(stream)
        (worker,) = multiprocessing.active_children()
        held = []
        for entry in Path(f"/proc/{worker.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it has closed that one just now
                held.append(str(entry.readlink()))
        own = str(Path(f"/proc/self/fd/{ours.fileno()}").readlink())
        assert own.startswith("socket:")
        assert own not in held
