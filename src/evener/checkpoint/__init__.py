"""The state of a run as files: written whole or not at all, read only if every hash matches."""

from evener.checkpoint.disk import Entry, drop, entries, newest, prune, read, write
from evener.checkpoint.snapshot import Snapshot, from_bytes, to_bytes

__all__ = [
    "Entry",
    "Snapshot",
    "drop",
    "entries",
    "from_bytes",
    "newest",
    "prune",
    "read",
    "to_bytes",
    "write",
]
