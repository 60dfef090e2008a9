"""The mesh of a machine that has joined as a container: nebula is in another container beside it.

That one alone has the right to make a network device, and the key; the two share a network, and a
volume. What nebula is to do is written there by who has joined, and read here as facts, not as a
configuration: whose code runs beside it can say where the pool is, and no more. Either container
may be restarted: what is written is what is to be.

    FOLDER/host.pub           for who joins, who cannot read the key beside it
    FOLDER/network            on which nebula is: where it was started anew, perhaps not on ours
    FOLDER/told/told.json     by who has joined: certificates, and where the first machine is
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evener import contract, errors
from evener.pool import nebula
from evener.pool.nebula import Nebula
from evener.rundir import layout
from evener.wire.frames import join_address, split_address

log = logging.getLogger("evener.pool")

TOLD, TOLD_NAME, OVER = "told", "told.json", "over"
NETWORK_NAME = "network"
RANGE = ipaddress.ip_network("100.64.0.0/10")  # in which no other network of a machine should be
KEY_S = 20.0  # until the other container has made it: a cold disk reads Python slowly
LOOK_S = 0.2
_TOLD_BYTES = 2**20
_OF_BOTH, _SEEN = 0o770, 0o755  # folders: both write to one, the other is read
_READ_BY_BOTH = 0o640
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def here() -> Neighbour | None:
    """None where nebula would be a process of our own."""
    folder = contract.user_variable(contract.MESH_VARIABLE)
    return Neighbour(Path(folder)) if folder else None


class Neighbour:
    """The other container, as who has joined sees it. Takes what `Nebula` does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.waits, self._anew = True, True
        self.started_at = 0.0

    def public_key(self) -> str:
        """Empty where it does not come."""
        file, deadline = self._folder / nebula.PUBLIC_NAME, time.monotonic() + KEY_S
        while time.monotonic() < deadline:
            if file.is_file():
                return file.read_text()
            time.sleep(LOOK_S)
        log.warning("there is no mesh: the container that was to have it does not begin")
        return ""

    @property
    def runs(self) -> bool:
        """As far as one can tell from here."""
        return self.started_at > 0.0

    def tend(self, file: Path) -> bool:
        """Told what is in that file. Whether nebula starts by that."""
        of_pki = {"ca": nebula.CA_NAME, "certificate": nebula.CERTIFICATE_NAME}
        told = {name: (file.parent / found).read_text() for name, found in of_pki.items()}
        self.waits = False  # before the file is read: who changes it says so afterwards
        self.waits = not self._tell({**told, "config": layout.read_json(file)}) or self.waits
        anew, self._anew = self._anew and not self.waits, self._anew and self.waits
        if anew:
            self.started_at = time.monotonic()
        return anew

    def reload(self) -> None:
        self.waits = True

    def restart(self) -> None:
        self.waits = self._anew = True

    def close(self) -> None:
        """It goes on: we may be back, and those who have started it end it."""

    def part(self) -> None:
        """We have left the pool, and it is to end as well."""
        self._tell({OVER: True})

    @property
    def is_elsewhere(self) -> bool:
        """Whether its network is no longer ours, which then leads nowhere."""
        file = self._folder / NETWORK_NAME
        return file.is_file() and file.read_text() != _network()

    def _tell(self, what: Mapping[str, Any]) -> bool:
        """Whether it could be: the other may not have begun."""
        file = self._folder / TOLD / TOLD_NAME
        if file.parent.is_dir():
            layout.write_json(file, what, _READ_BY_BOTH)
            return True
        return False


def _network() -> str:
    """What this process has, by a name that no other in use has."""
    return str(Path("/proc/self/ns/net").stat().st_ino)


def rendered(folder: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    """What nebula is told, of all that was said. Raises ValueError, KeyError or TypeError where it
    is not what it should be."""
    [(first, places)] = told["static_host_map"].items()
    network = ipaddress.ip_interface(nebula.address_in(folder)).network
    if not network.subnet_of(RANGE) or ipaddress.ip_address(first) not in network:  # type: ignore[arg-type]
        raise ValueError(f"{network} is no network of a mesh with {first} in it")
    own = nebula.address_in(folder).partition("/")[0]
    if own == first:
        raise ValueError("the first machine is no container")
    made = nebula.config(folder, own, first, 0, ())
    made["pki"]["blocklist"] = [f for f in told["pki"]["blocklist"] if _FINGERPRINT.fullmatch(f)]
    known = [split_address(str(place)) for place in places]
    made["static_host_map"] = {first: [join_address(*place) for place in known]}
    own_port = int(told["listen"]["port"])
    return nebula.detoured(made, known[0][1], own_port) if own_port else made


class Side:
    """What the other container does: nebula, as it was told last."""

    def __init__(self, folder: Path, engine: Nebula) -> None:
        self._folder, self._nebula = folder, engine
        self._heard = ""

    def begin(self) -> None:
        """Raises OSError."""
        told = self._folder / TOLD
        for each, mode in ((self._folder, _SEEN), (told, _OF_BOTH)):
            each.mkdir(parents=True, exist_ok=True)
            if each.lstat().st_uid != Path("/proc/self").stat().st_uid:
                raise PermissionError(f"{each} is another's, who would have the key")
            each.chmod(mode)
        layout.write_atomic(self._folder / NETWORK_NAME, _network())
        nebula.make_key(self._folder).chmod(0o644)

    def step(self) -> bool:
        """Whether there will be another."""
        said = self._said()
        if said != self._heard:
            self._heard = said
            try:
                told = json.loads(said)
                if told.get(OVER):
                    return False
                self._hear(told)
            except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
                log.error("what is said of the mesh cannot be used: %r", error)
            except errors.EvenerError as error:  # of an address, or the disk
                log.error("what is said of the mesh cannot be used: %s", error)
        file = self._folder / nebula.CONFIG_NAME
        if self._nebula.waits and file.is_file():
            self._nebula.tend(file)
        return True

    def close(self) -> None:
        self._nebula.close()

    def _said(self) -> str:
        """What is no file, or has no end, does not hold us up."""
        how = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            file = os.open(self._folder / TOLD / TOLD_NAME, how)
            with os.fdopen(file, encoding="utf-8") as opened:
                return opened.read(_TOLD_BYTES)
        except (OSError, ValueError):
            return ""

    def _hear(self, told: Mapping[str, Any]) -> None:
        layout.write_atomic(self._folder / nebula.CA_NAME, str(told["ca"]))
        layout.write_atomic(self._folder / nebula.CERTIFICATE_NAME, str(told["certificate"]))
        made = rendered(self._folder, told["config"])
        file = self._folder / nebula.CONFIG_NAME
        before = layout.read_json(file) if file.is_file() else {}
        layout.write_json(file, made)
        if {**before, "pki": {}} == {**made, "pki": {}}:
            self._nebula.reload()
        else:
            self._nebula.restart()


def main(folder: Path) -> int:
    """In the foreground of a container, until who has joined beside it has left the pool."""
    side = Side(folder, Nebula(None))
    try:
        side.begin()
        while side.step():
            time.sleep(LOOK_S)
    except OSError as error:
        log.error("there is no mesh: %s", error)
        return errors.StartFailed.exit_status
    finally:
        side.close()
    log.info("the machine has left its pool")
    return 0
