"""How text becomes numbers: by characters, by bytes, or by tiktoken's byte pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from evener.errors import DownloadFailed, ExtraMissing, WrongValue


@dataclass(frozen=True)
class Char:
    """One token per character; `vocabulary` is all of a text's, sorted."""

    vocabulary: str

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.vocabulary)}

    @property
    def size(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> list[int]:
        unknown = sorted(set(text) - set(self.vocabulary))
        if unknown:
            raise WrongValue(
                f"the text that is learned has no {', '.join(map(repr, unknown))}",
                where="sample.prompt",
                fix="use characters of that text only, or data.tokenizer = 'byte'",
            )
        return [self._numbers[character] for character in text]

    def decode(self, tokens: list[int]) -> str:
        return "".join(self.vocabulary[token] for token in tokens)


@dataclass(frozen=True)
class Byte:
    """One token per byte of UTF-8."""

    size: int = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8"))

    def decode(self, tokens: list[int]) -> str:
        return bytes(tokens).decode("utf-8", errors="replace")


@dataclass(frozen=True)
class Bpe:
    """tiktoken's encoding `name`. Its table is fetched by tiktoken itself, once per machine."""

    name: str

    @cached_property
    def _encoding(self) -> Any:
        if find_spec("tiktoken") is None:
            what = "the bpe tokenizer needs the package tiktoken"
            raise ExtraMissing(what, where="data.tokenizer", fix='pip install "evener[bpe]"')
        import tiktoken

        if self.name not in tiktoken.list_encoding_names():
            known = ", ".join(tiktoken.list_encoding_names())
            what = f"tiktoken has no encoding {self.name!r}"
            raise WrongValue(what, where="data.tokenizer", fix=f"it has {known}")
        try:
            return tiktoken.get_encoding(self.name)
        except (OSError, ValueError) as error:  # of requests: every failure is an OSError
            raise DownloadFailed(
                f"tiktoken could not get its table for {self.name!r}: {error}",
                where="data.tokenizer",
                fix="run once where there is a network and copy tiktoken's cache, named by "
                "TIKTOKEN_CACHE_DIR, to this machine; or use data.tokenizer = 'byte'",
            ) from error

    @property
    def size(self) -> int:
        return int(self._encoding.n_vocab)

    def encode(self, text: str) -> list[int]:
        return list(self._encoding.encode_ordinary(text))

    def decode(self, tokens: list[int]) -> str:
        return b"".join(map(self._bytes_of, tokens)).decode("utf-8", errors="replace")

    def _bytes_of(self, token: int) -> bytes:
        try:
            return bytes(self._encoding.decode_single_token_bytes(token))
        except (KeyError, OverflowError):
            return b""  # a model may have more outputs than the table has tokens

    def __reduce__(self) -> tuple[type[Bpe], tuple[str]]:
        return Bpe, (self.name,)


Tokenizer = Char | Byte | Bpe
