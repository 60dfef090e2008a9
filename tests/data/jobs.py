"""Small jobs and small data for them, as the tests of this room need them."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evener.config.schema import Job

ROOT = Path(__file__).resolve().parent.parent.parent


def job(data: dict[str, Any], model: dict[str, Any] | None = None, **tables: Any) -> Job:
    """A job over `data` with a model that fits it."""
    usual = {"text": "gpt", "tokens": "gpt", "synthetic_regression": "linear"}
    train = {"steps": 3, "global_batch": 4, **tables.pop("train", {})}
    name = usual.get(data["name"], "simple_cnn")
    return Job.model_validate(
        {"model": model or {"name": name}, "data": data, "train": train, **tables}
    )


def gpt(block: int = 8) -> dict[str, Any]:
    return {"name": "gpt", "block_size": block}


def real_data() -> Path | None:
    named = os.environ.get("TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None


# ------------------------------------------------------------------------- files of sets


def pixels(count: int, *shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def idx_bytes(array: npt.NDArray[np.uint8]) -> bytes:
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def write_mnist(folder: Path, train: int = 12, test: int = 5, zipped: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, count, seed in (("train", train, 1), ("t10k", test, 2)):
        files = {
            f"{part}-images-idx3-ubyte": pixels(count, 28, 28, seed=seed),
            f"{part}-labels-idx1-ubyte": (np.arange(count) % 10).astype(np.uint8),
        }
        for name, array in files.items():
            data = idx_bytes(array)
            name, data = (f"{name}.gz", gzip.compress(data)) if zipped else (name, data)
            (folder / name).write_bytes(data)


def cifar_records(count: int, labels: int = 1, seed: int = 0) -> bytes:
    """Records whose last label byte is the number of the record modulo ten."""
    head = np.zeros((count, labels), np.uint8)
    head[:, -1] = np.arange(count) % 10
    return np.hstack([head, pixels(count, 3072, seed=seed)]).tobytes()


def cifar_pickle(count: int, key: str = "labels", seed: int = 0, protocol: int = 2) -> bytes:
    labels = [i % 10 for i in range(count)]
    batch = {b"data": pixels(count, 3072, seed=seed), key.encode(): labels}
    return pickle.dumps(batch, protocol=protocol)


def write_cifar10(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data_batch_1.bin").write_bytes(cifar_records(6, seed=1))
    (folder / "data_batch_2.bin").write_bytes(cifar_records(5, seed=2))
    (folder / "test_batch.bin").write_bytes(cifar_records(4, seed=3))


def write_tokens(folder: Path, train: int = 200, validation: int = 50, below: int = 60) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train.bin", train), ("val.bin", validation)):
        tokens = np.random.default_rng(count).integers(0, below, count)
        (folder / name).write_bytes(tokens.astype("<u2").tobytes())
