"""Datagrams in a stream of bytes, and those that wait to go into it: a few, and no more.

Each has its length before it. Whoever sends more than the stream takes loses some, as on a network;
were they kept, all that comes behind them would be late, the heartbeats of agents too.
"""

from __future__ import annotations

MOST_BYTES = 2**17  # that wait: some milliseconds of a LAN, a tenth of a second at 10 Mbit/s
LARGEST = 2**16 - 1
_HEAD = 2  # bytes of a length


class Cutter:
    """Cuts a stream into datagrams; holds at most one that is not whole yet."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Those that `data` completes."""
        self._rest += data
        rest, size, at = self._rest, len(self._rest), 0
        found: list[bytes] = []
        while size - at >= _HEAD:
            begin = at + _HEAD
            end = begin + int.from_bytes(rest[at:begin], "big")
            if end > size:
                break
            found.append(bytes(rest[begin:end]))
            at = end
        del rest[:at]
        return found


class Waiting:
    """What is to go into a stream."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __bool__(self) -> bool:
        return bool(self._bytes)

    def put(self, datagram: bytes) -> None:
        """At the end, or nowhere."""
        if len(self._bytes) + len(datagram) <= MOST_BYTES:
            self._bytes += len(datagram).to_bytes(_HEAD, "big")
            self._bytes += datagram

    def take(self, most: int = MOST_BYTES) -> bytes:
        found = bytes(self._bytes[:most])
        del self._bytes[:most]
        return found
