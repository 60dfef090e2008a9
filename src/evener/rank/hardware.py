"""What a machine can do, measured: products of matrices, copies in memory, its disk.

    python -m evener.rank.hardware DEVICE THREADS FOLDER

prints it as one line of JSON: the host wing, which has no torch, asks so for the machine it is on.
Each figure takes well under a second. One that cannot be had is None, and the note says why.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import torch

from evener.errors import EvenerError
from evener.rank import device as devices

TYPES = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp64": torch.float64,
}
ENOUGH_S = 0.05  # a product this long is no longer mostly a call
SPAN_S = 0.2  # repeated for so long
MOST_SIDE = 8192
COPY_BYTES = 2**28  # well beyond any cache
COPY_PART = 8  # but no more than this part of the device's free memory
DISK_BYTES = (2**22, 2**24, 2**26, 2**28)  # tried in turn, until one takes long enough
DISK_ENOUGH_S = 0.2
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Hardware:
    """As `events.MachineProfiled` tells it. Bytes of a copy are counted twice: read and written."""

    device: str
    threads: int
    memory_bytes_per_s: float | None
    matmul_flop_per_s: dict[str, float]  # nan where the device has no such numbers
    disk_read_bytes_per_s: float | None
    disk_write_bytes_per_s: float | None
    note: str = ""


def measure(device: torch.device, threads: int, folder: Path) -> Hardware:
    """All of it, on `device` with `threads`; `folder` says which disk."""
    notes: list[str] = []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        memory = _tried(lambda: _copy_speed(device), "memory", notes)
        products = {name: _product(device, name, notes) for name in TYPES}
    finally:
        torch.set_num_threads(before)
        _give_back(device)
    write, read = _disk(folder, notes)
    return Hardware(str(device), threads, memory, products, read, write, "; ".join(notes))


def _tried(work: Callable[[], float], what: str, notes: list[str]) -> float | None:
    try:
        return work()
    except (RuntimeError, TypeError, OSError) as error:  # torch says with these what it cannot
        notes.append(f"{what}: {(str(error).splitlines() or [type(error).__name__])[0][:120]}")
        return None


def _copy_speed(device: torch.device) -> float:
    size = min(COPY_BYTES, max(free_bytes(device) // COPY_PART, _CHUNK))
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _typical_s(lambda: target.copy_(source), device)


def _product(device: torch.device, name: str, notes: list[str]) -> float:
    speed = _tried(lambda: _product_speed(device, TYPES[name]), f"products of {name}", notes)
    return float("nan") if speed is None else speed


def _product_speed(device: torch.device, dtype: torch.dtype) -> float:
    """Of square matrices, doubled until one takes long enough to be timed."""
    side = 128
    while True:
        a, b = (torch.ones(side, side, dtype=dtype, device=device) for _ in range(2))
        _timed(lambda: a @ b, device)  # noqa: B023  (called at once)
        once_s = _timed(lambda: a @ b, device)  # noqa: B023
        if once_s >= ENOUGH_S / 4 or side >= MOST_SIDE:
            break
        side *= 2
    best_s = once_s if once_s > SPAN_S else _typical_s(lambda: a @ b, device)
    return 2.0 * side**3 / best_s


def _typical_s(work: Callable[[], object], device: torch.device) -> float:
    """The median over as many calls as fit, three at least."""
    work()
    times: list[float] = []
    until = perf_counter() + SPAN_S
    while len(times) < 3 or perf_counter() < until:
        times.append(_timed(work, device))
    return statistics.median(times)


def _timed(work: Callable[[], object], device: torch.device) -> float:
    devices.synchronize(device)
    began = perf_counter()
    work()
    devices.synchronize(device)
    return max(perf_counter() - began, 1e-9)


def free_bytes(device: torch.device) -> int:
    """Of the device; of the machine where it is the processor and the system tells."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if sys.platform != "win32":
        with contextlib.suppress(OSError, ValueError):
            return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return COPY_BYTES * COPY_PART


def _give_back(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


# ----------------------------------------------------------------------------------- disk


def _disk(folder: Path, notes: list[str]) -> tuple[float | None, float | None]:
    """Bytes a second written (and synced), and read back from the disk itself."""
    file = folder / f".measured.{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write = _tried(lambda: _write_speed(file), "disk", notes)
        if write is None:
            return None, None
        return write, _tried(lambda: _read_speed(file), "disk, read", notes)
    except OSError as error:
        notes.append(f"disk: {error.strerror or error}")
        return None, None
    finally:
        with contextlib.suppress(OSError):  # it was never there
            file.unlink()


def _write_speed(file: Path) -> float:
    """Each size more than the last, until one took long enough: slow disks write little."""
    block = os.urandom(_CHUNK)  # some disks are fast for zeros
    for size in DISK_BYTES:
        began = perf_counter()
        with file.open("wb") as opened:
            for _ in range(size // _CHUNK):
                opened.write(block)
            opened.flush()
            os.fsync(opened.fileno())
        took_s = perf_counter() - began
        if took_s >= DISK_ENOUGH_S:
            break
    return size / took_s


def _read_speed(file: Path) -> float:
    """What was just written is still in memory: unless the system can be asked to forget it,
    reading it says nothing about the disk."""
    if sys.platform != "linux" or not hasattr(os, "posix_fadvise"):
        raise OSError("this system reads it from memory, and cannot be told otherwise")
    with file.open("rb", buffering=0) as opened:
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = perf_counter()
        size = 0
        while block := opened.read(_CHUNK):
            size += len(block)
        return size / max(perf_counter() - began, 1e-9)


def main() -> int:
    name, threads, folder = sys.argv[1:4]
    try:
        found = measure(devices.open_device(name, int(threads)), int(threads), Path(folder))
        said = {"result": {**asdict(found), "torch": str(torch.__version__)}}
    except EvenerError as error:
        said = {"error": error.to_dict()}
    sys.stdout.write(json.dumps(said) + "\n")  # nan is no JSON, but Python reads its own
    return 0


if __name__ == "__main__":
    sys.exit(main())
