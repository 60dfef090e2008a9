"""Which pages there are, and which of those in a folder no longer say what the program does."""

from __future__ import annotations

from pathlib import Path

from evener.reference import commands, environment, error_codes, events, job_file, training

_PAGES = {
    "job-file.md": job_file.page,
    "commands.md": commands.page,
    "events.md": events.page,
    "errors.md": error_codes.page,
    "environment.md": environment.page,
    "training.md": training.page,
}


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {name: page() for name, page in _PAGES.items()}


def stale(folder: Path) -> list[str]:
    """The pages that are missing in `folder` or differ from what would be written."""
    return [name for name, text in pages().items() if _read(folder / name) != text]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
