"""What a script brings to its job, before that is validated: a model, data, and what kind it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evener.config.script import kind_of
from evener.errors import DataMissing


def brought(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """The job with what a script brings: its model, its data, its length; and with `auto` decided.

    `raw` has absolute paths by now, and is not validated yet.
    """
    script = raw.get("script")
    if not isinstance(script, dict) or not isinstance(script.get("path"), str):
        return raw
    own, data = {"name": "script"}, raw.get("data", {})
    loading = {**own, **data} if isinstance(data, dict) else data
    told = {"model": own, "train": {}} | raw | {"data": loading}
    if script.get("kind", "auto") == "auto" and script["path"]:
        told["script"] = {**script, "kind": kind_of(_text(Path(script["path"]), where))}
    return told


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataMissing(
            f"there is no script {str(path)!r}", where=where, fix="correct the path"
        ) from error
