"""What is written block by block is the file that safetensors reads."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load
from torch import Tensor

from evener.checkpoint import stream
from evener.checkpoint.stream import Packed, pack, unpack
from evener.errors import CodeReturnedWrong

ABOUT = {"format": "pt", "of": "die Brücke"}


def tensors() -> dict[str, Tensor]:
    """Of every type, and of every shape that has been forgotten somewhere."""
    whole = {
        f"of {dtype}": torch.arange(6).reshape(2, 3).to(dtype).clone() for dtype in stream._NAMES
    }
    return {
        **whole,
        "one": torch.tensor(5),
        "none": torch.zeros(0, 3),
        "turned": torch.arange(12.0).reshape(3, 4).t(),
        "every second": torch.arange(10)[::2],
    }


def written(packed: Packed, size: int) -> bytes:
    return b"".join(block.numpy().tobytes() for block in packed.blocks(size))


def assert_alike(found: dict[str, Tensor]) -> None:
    assert set(found) == set(tensors())
    for name, tensor in tensors().items():
        assert found[name].dtype == tensor.dtype, name
        assert found[name].shape == tensor.shape, name
        if tensor.numel():
            bits = [t.contiguous().reshape(-1).view(torch.uint8) for t in (found[name], tensor)]
            assert torch.equal(*bits), name


@pytest.mark.parametrize("size", [1, 7, 100, 2**20])
def test_the_library_reads_what_we_write(size: int) -> None:
    packed = pack(tensors(), ABOUT)
    data = written(packed, size)
    assert len(data) == packed.size_bytes
    assert_alike(load(data))


def test_all_blocks_but_the_last_are_of_one_size() -> None:
    packed = pack(tensors(), ABOUT)
    sizes = [len(block) for block in packed.blocks(100)]
    assert set(sizes[:-1]) == {100}
    assert sum(sizes) == packed.size_bytes


def test_what_is_said_about_them_is_in_the_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("about") / "x.safetensors"
    file.write_bytes(written(pack(tensors(), ABOUT), 64))
    with safe_open(file, "pt") as opened:
        assert opened.metadata() == ABOUT


def test_we_read_what_we_write() -> None:
    data = torch.frombuffer(bytearray(written(pack(tensors(), ABOUT), 64)), dtype=torch.uint8)
    found, about = unpack(data)
    assert about == ABOUT
    assert_alike(found)


def test_a_type_that_no_file_can_hold_is_named_with_its_tensor() -> None:
    with pytest.raises(CodeReturnedWrong, match=r"layer\.weight is of torch\.complex128"):
        pack({"layer.weight": torch.zeros(2, dtype=torch.complex128)}, {})
