"""Named tensors as a safetensors file, block by block: to a disk or a link, with no second copy.

The library's own writer needs all of a file in memory, holds the interpreter meanwhile, and keeps
training waiting for it; what it reads is what is written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from evener.errors import CodeReturnedWrong

_ALIGNED = 8  # where the tensors begin; the widest come first, so each lies as its type must
_LENGTH_BYTES = 8
_ABOUT = "__metadata__"
_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_TYPES = {name: dtype for dtype, name in _NAMES.items()}


@dataclass(frozen=True, slots=True)
class Packed:
    """A file that is not written yet. The tensors are the caller's: they are to stay as they are
    until the last block has been asked for."""

    head: bytes
    tensors: tuple[Tensor, ...]

    @property
    def size_bytes(self) -> int:
        return len(self.head) + sum(t.nbytes for t in self.tensors)

    def blocks(self, size: int) -> Iterator[Tensor]:
        """All bytes in blocks of one size, the last one shorter; each is lost with the next."""
        block, used = torch.empty(min(size, self.size_bytes), dtype=torch.uint8), 0
        for piece in self._pieces():
            begin = 0
            while begin < len(piece):
                end = min(begin + len(block) - used, len(piece))
                block[used : used + end - begin] = piece[begin:end]
                used, begin = used + end - begin, end
                if used == len(block):
                    yield block
                    used = 0
        if used:
            yield block[:used]

    def _pieces(self) -> Iterator[Tensor]:
        yield torch.frombuffer(bytearray(self.head), dtype=torch.uint8)
        for tensor in self.tensors:
            yield tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def pack(tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> Packed:
    """CodeReturnedWrong for a type of numbers that no file of this kind can hold."""
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    entries: dict[str, Any] = {_ABOUT: dict(about)}
    begin = 0
    for name in names:
        tensor = tensors[name]
        end = begin + tensor.nbytes
        entries[name] = {
            "dtype": _name_of(tensor.dtype, name),
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
        begin = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    head = len(text).to_bytes(_LENGTH_BYTES, "little") + text
    return Packed(head, tuple(tensors[name] for name in names))


def unpack(data: Tensor) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What `pack` was given, as views of `data`: bytes of which every one is known to be right."""
    length = int.from_bytes(data[:_LENGTH_BYTES].numpy().tobytes(), "little")
    begin = _LENGTH_BYTES + length
    entries: dict[str, Any] = json.loads(data[_LENGTH_BYTES:begin].numpy().tobytes())
    about = entries.pop(_ABOUT)
    tensors = {
        name: data[begin + entry["data_offsets"][0] : begin + entry["data_offsets"][1]]
        .view(_TYPES[entry["dtype"]])
        .reshape(entry["shape"])
        for name, entry in entries.items()
    }
    return tensors, about


def _name_of(dtype: torch.dtype, tensor: str) -> str:
    if dtype not in _NAMES:
        raise CodeReturnedWrong(
            f"{tensor} is of {dtype}, which no checkpoint can hold",
            where="model.name",
            fix="hold it as another type, or as a buffer with persistent=False",
        )
    return _NAMES[dtype]
