"""A pool on the LAN: it says by mDNS where it is, and who knows its certificate finds it there.

What is said is the beginning of the certificate's fingerprint, addresses and the port: a stranger
who asks at that port is told no more. Anybody may claim to be a pool here; who answers with another
certificate hears nothing, so a claim is only one more place to look at.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

log = logging.getLogger("evener.pool")
logging.getLogger("zeroconf").setLevel(logging.CRITICAL)  # it tells of every network that is gone

SERVICE = "_evener._tcp.local."
PIN_DIGITS = 12  # of the fingerprint: 48 bits tell pools apart, and the code has more of it
FIND_S = 3.0
LOOK_S = 2.0  # at our own addresses, which may change
AGAIN_S = 30.0  # where it cannot be told
MOST = 8  # of addresses that one name may have


class NotAskedError(OSError):
    """Why this machine cannot ask its LAN."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pool is."""

    pin: str
    addresses: tuple[str, ...]
    port: int


def find(pin: str, timeout_s: float = FIND_S) -> tuple[tuple[str, int], ...]:
    """Where the LAN says that the pool with that certificate is; nothing, where nobody knows.

    Raises NotAskedError.
    """
    with _talking() as zeroconf:
        found = _info(pin)
        if not found.request(zeroconf, timeout_s * 1000) or not found.port:
            return ()
        return tuple((address, found.port) for address in found.parsed_addresses()[:MOST])


@contextlib.contextmanager
def announced(place: Callable[[], Place | None]) -> Iterator[None]:
    """The LAN is told where the pool is, as long as this lasts. `place` is asked again and again;
    None: it is to be told nothing."""
    ending = threading.Event()
    thread = threading.Thread(target=_announce, args=(place, ending), name="lan", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def _announce(place: Callable[[], Place | None], ending: threading.Event) -> None:
    while not ending.is_set():
        told = place()
        if told is None:
            ending.wait(LOOK_S)
            continue
        try:
            with _talking(told.addresses) as zeroconf:
                zeroconf.register_service(_info(told.pin, told))
                log.info("the LAN is told: %s port %d", ", ".join(told.addresses), told.port)
                while place() == told and not ending.wait(LOOK_S):
                    pass
        except NotAskedError as error:
            log.warning("the LAN is not told where this is: %s", error)
            ending.wait(AGAIN_S)


@contextlib.contextmanager
def _talking(addresses: tuple[str, ...] = ()) -> Iterator[Zeroconf]:
    """mDNS on the networks of these addresses of ours; of all, if none are named."""
    try:
        import zeroconf
    except ImportError:
        raise NotAskedError("zeroconf is not installed") from None
    where = list(addresses) or zeroconf.InterfaceChoice.All
    try:
        made = zeroconf.Zeroconf(where, ip_version=zeroconf.IPVersion.V4Only)
    except OSError as error:
        raise NotAskedError(error.strerror or str(error)) from error
    try:
        yield made
    except (zeroconf.Error, OSError) as error:
        raise NotAskedError(str(error) or type(error).__name__) from error
    finally:
        made.close()


def _info(pin: str, place: Place | None = None) -> ServiceInfo:
    from zeroconf import ServiceInfo

    name = pin[:PIN_DIGITS]
    return ServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        port=place.port if place else None,
        server=f"evener-{name}.local.",  # not the name of the host, which tells who one is
        parsed_addresses=list(place.addresses) if place else None,
    )
