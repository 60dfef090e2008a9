"""The state of a run as files: written whole or not at all, read only if every hash matches."""

from evener.checkpoint.disk import newest, read, write
from evener.checkpoint.snapshot import Snapshot, from_bytes, to_bytes

__all__ = ["Snapshot", "from_bytes", "newest", "read", "to_bytes", "write"]
