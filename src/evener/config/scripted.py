"""The file of a script, read to see what it is; and the job that it is a part of, made whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evener.config.script import NAME, kind_of
from evener.errors import ScriptUnfit

NOTEBOOK = ".ipynb"
SUFFIXES = (".py", NOTEBOOK)
_LISTED = 5


def read(path: Path, label: str) -> str:
    """The text of a script that can be run. Raises ScriptUnfit."""
    if path.suffix.lower() == NOTEBOOK:
        fix = f"save it as one: jupyter nbconvert --to script {label}"
        raise ScriptUnfit(f"{label} is a notebook, no script", where=str(path), fix=fix)
    try:
        text = path.read_text(encoding="utf-8-sig")
        kind_of(text)
    except FileNotFoundError as error:
        raise ScriptUnfit(
            f"there is no script {label!r}", where=str(path), fix=_meant(path)
        ) from error
    except SyntaxError as error:
        raise ScriptUnfit(
            f"{label} is no Python that can be run: {error.msg}",
            where=f"{path}:{error.lineno}",
            fix=f"mend that line; `python {label}` says the same",
        ) from error
    except (UnicodeDecodeError, ValueError) as error:
        fix = "name a file of Python source, in UTF-8"
        raise ScriptUnfit(f"{label} is no text of Python", where=str(path), fix=fix) from error
    except OSError as error:
        raise ScriptUnfit(
            f"{label} cannot be read: {error.strerror}",
            where=str(path),
            fix="name a file that you may read",
        ) from error
    return text


def _meant(path: Path) -> str:
    near = sorted(p.name for p in path.parent.glob(f"*{SUFFIXES[0]}"))[:_LISTED]
    return f"in that folder: {', '.join(near)}" if near else "check the path: there is none nearby"


def completed(raw: dict[str, Any], cwd: Path) -> dict[str, Any]:
    """A job with a script, made whole: its kind is found out, and it has what its script brings.

    `raw` has absolute paths by now, and is not validated yet. Raises ScriptUnfit.
    """
    script = raw.get("script")
    if not isinstance(script, dict) or not isinstance(script.get("path"), str):
        return raw
    if not script["path"]:
        return raw
    path = Path(script["path"])
    kind = kind_of(read(path, path.name))
    if script.get("kind", "auto") == "auto":
        script = {**script, "kind": kind}
    own, data = {"name": NAME}, raw.get("data", {})
    loading = {**own, **data} if isinstance(data, dict) else data
    told = {"folder": str(cwd), **script}
    return {"model": own, "train": {}, **raw, "data": loading, "script": told}
