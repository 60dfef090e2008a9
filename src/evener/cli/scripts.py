"""What the command line says of a script, as keys of its job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence


def overrides(args: Sequence[str] | None, nproc: int | None) -> Iterator[str]:
    """As `-o` would say it."""
    if args:
        yield f"script.args={json.dumps(list(args), ensure_ascii=False)}"
    if nproc is not None:
        yield f"script.nproc={nproc}"
