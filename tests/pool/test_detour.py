"""Datagrams by TCP, through a real server of a pool: both ways, members apart, no stranger's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from evener.contract import LOOPBACK
from evener.pool import detour
from evener.pool.datagrams import LARGEST, MOST_BYTES, Cutter, Waiting
from evener.pool.detour import Detour
from evener.pool.house import Pool
from tests.backends.shell import until
from tests.pool.serving import caller, serving
from tests.pool.test_server import joined, owner

HELLO, WAIT_S = b"handshake", 10.0


class Nebula:
    """As the one on the pool's machine: it says by which port it was asked, and of what looks like
    a lost connection that it knows none."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, port))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while (got := self._socket.recvfrom(LARGEST))[0] != b"end":
            data, (host, port) = got
            lost = data.startswith(b"\x11")
            said = b"\x12" + data[1:] if lost else str(port).encode() + b" " + data
            self._socket.sendto(said, (host, port))

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"end", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


@contextmanager
def going(pool: Pool, secret: str) -> Iterator[Detour]:
    again = partial(detour.opened, caller(pool, secret).server, secret)
    with closing(Detour(again(), again)) as made:
        yield made


@contextmanager
def near(made: Detour) -> Iterator[socket.socket]:
    """In the place of a member's nebula."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, made.own_port))
        sock.connect((LOOPBACK, made.port))
        sock.settimeout(WAIT_S)
        yield sock


def asked(sock: socket.socket, what: bytes = HELLO) -> int:
    """The port by which it was heard there."""
    sock.send(what)
    port, _, said = sock.recv(LARGEST).partition(b" ")
    assert said == what
    return int(port)


def test_datagrams_go_by_tcp_each_members_by_a_port_of_its_own(tmp_path: Path) -> None:
    with serving(tmp_path, meshed=True) as pool, closing(Nebula(pool.port)):
        secrets = [str(joined(pool)["secret"]) for _ in range(2)]
        assert detour.udp_answers([(LOOPBACK, pool.port)])
        with (
            going(pool, secrets[0]) as one,
            going(pool, secrets[1]) as two,
            near(one) as first,
            near(two) as second,
        ):
            ports = {asked(first), asked(second), asked(first, bytes(LARGEST // 50))}
            assert len(ports) == 2
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.settimeout(0.3)
                stranger.sendto(HELLO, (LOOPBACK, one.port))
                with pytest.raises(OSError):  # noqa: PT011  (refused, or no answer)
                    stranger.recv(LARGEST)
            caller(pool, secrets[0]).call("POST", "leave")
            with pytest.raises(ConnectionError, match="404"):
                detour.opened(caller(pool, secrets[0]).server, secrets[0])
            assert asked(second) in ports


def test_a_stranger_has_no_detour_and_a_pool_without_a_mesh_none_at_all(tmp_path: Path) -> None:
    with serving(tmp_path) as pool, closing(Nebula(pool.port)):
        secret = str(joined(pool)["secret"])
        for shown in ("", "guessed", secret):
            with pytest.raises(ConnectionError, match="404"):
                detour.opened(caller(pool, shown).server, shown)
    with serving(tmp_path, pool, meshed=True), pytest.raises(ConnectionError, match="503"):
        detour.opened(caller(pool, secret).server, secret)
    assert not detour.udp_answers([(LOOPBACK, pool.port)], wait_s=0.05)


def test_a_detour_is_shown_and_opened_again_when_the_server_is_back(tmp_path: Path) -> None:
    with serving(tmp_path, meshed=True) as pool, closing(Nebula(pool.port)):
        me = joined(pool)
        told = {"door": f"{LOOPBACK}:9", "mesh": f"{LOOPBACK}:9", "running": [], "ended": {}}

        def by() -> str:
            caller(pool, me["secret"]).call("POST", "wait", {**told, "seen": "", "now": True})
            return str(owner(pool).members()[0]["mesh_by"])

        assert by() == "udp"
        with going(pool, me["secret"]) as made, near(made) as sock:
            until(lambda: by() == "tcp", "it is not shown")
            asked(sock)
    with serving(tmp_path, pool, meshed=True), closing(Nebula(pool.port)):
        assert by() == "udp"


def test_whoever_is_cut_off_dials_again(tmp_path: Path) -> None:
    with serving(tmp_path, meshed=True) as pool, closing(Nebula(pool.port)):
        secret = str(joined(pool)["secret"])
        with going(pool, secret) as made, near(made) as sock:
            asked(sock)
            sock.settimeout(0.2)
            with closing(detour.opened(caller(pool, secret).server, secret)):
                pass  # one for each member: the other's ends
            until(partial(_comes_through, sock), "it is not opened again")


def _comes_through(sock: socket.socket) -> bool:
    try:
        asked(sock)
    except TimeoutError:
        return False
    return True


def test_datagrams_are_cut_from_a_stream_wherever_it_breaks() -> None:
    sent = [b"a", b"", bytes(1300), b"z" * LARGEST]
    waiting = Waiting()
    for each in sent:
        waiting.put(each)
    stream = waiting.take()
    for size in (1, 2, 3, 700, len(stream)):
        cutter = Cutter()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [found for piece in pieces for found in cutter.feed(piece)] == sent


def test_what_does_not_fit_is_lost_and_nothing_is_torn() -> None:
    waiting, put = Waiting(), 1000
    for _ in range(2 * MOST_BYTES // put):
        waiting.put(bytes(put))
    kept = Cutter().feed(waiting.take())
    assert MOST_BYTES - 2 * put < len(kept) * put <= MOST_BYTES
    assert {len(each) for each in kept} == {put}
    assert not waiting
