"""A connection to the head, found by its name, or where it was last if nobody knows that any more.

A Swarm takes the name of a service back when it tells its container to end, and that has things to
take in yet: last events, and the checkpoint that agents have written as they were told the same.
"""

from __future__ import annotations

import http.client
import socket

from evener.wire import names

_last: dict[tuple[str, int], str] = {}  # the address behind a name, as it was
_nameless: set[tuple[str, int]] = set()  # names that are not known any more: asking takes seconds


class Calling(http.client.HTTPConnection):
    """As any other, but for that."""

    def connect(self) -> None:
        who = (self.host, self.port)
        if who in _nameless:
            try:
                self._connect_to(_last[who])
                return
            except OSError:
                _nameless.discard(who)
        try:
            if who in _last:  # there is something else to try: this need not take long
                names.need(self.host, self.port)
            super().connect()
        except socket.gaierror:
            if who not in _last:
                raise
            self._connect_to(_last[who])
            _nameless.add(who)
            return
        _last[who] = self.sock.getpeername()[0]

    def _connect_to(self, address: str) -> None:
        self.sock = socket.create_connection((address, self.port), self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
