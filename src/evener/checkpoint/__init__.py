"""The state of a run as files: written whole or not at all, read only if every hash matches."""

from evener.checkpoint.disk import newest, read, write
from evener.checkpoint.snapshot import Snapshot, pack, unpack

__all__ = ["Snapshot", "newest", "pack", "read", "unpack", "write"]
