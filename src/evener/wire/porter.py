"""The run's folder on the head's machine, for an agent whose disk it is not on.

Whatever is wrong with the head or its answer is an OSError: try again later.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evener.wire.asking import AnswerError, Asking, understood

HOME, PATH = "/v1/home", "/v1/folder"
ANSWER_S = 30.0  # a checkpoint's hash is that of all its bytes
PIECE_BYTES = 4 * 2**20


class Porter:
    """One connection to a head; not for several threads."""

    def __init__(self, address: str, secret: str) -> None:
        self._asking = Asking(address, secret, ANSWER_S)

    def home(self) -> str:
        """Which folder of the run it is."""
        with understood():
            return str(self._asking.ask("GET", HOME)["home"])

    def listing(self) -> dict[str, Any]:
        """What is there, as `rundir.freight.listing` says it."""
        return self._asking.ask("GET", PATH)

    def fetch(self, name: str, target: Path) -> None:
        """The file called `name`, at `target`: whole or not at all."""
        beside = target.with_name(f".{target.name}.fetched")
        with self._asking.open("GET", f"{PATH}/{quote(name)}") as answer, beside.open("wb") as file:
            while piece := answer.read(PIECE_BYTES):
                file.write(piece)
        beside.replace(target)

    def fetch_on(
        self, name: str, target: Path, heard: Callable[[int], None] = lambda _: None
    ) -> None:
        """The same of a file that never changes: on from where an earlier try broke off. `heard`
        is told how long it has become."""
        beside = target.with_name(f".{target.name}.fetched")
        beside.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("ab") as file:
            at = file.tell()
            more = {"Range": f"bytes={at}-"} if at else {}
            try:
                with self._asking.open("GET", f"{PATH}/{quote(name)}", more=more) as answer:
                    if answer.status != http.client.PARTIAL_CONTENT:
                        file.truncate(0)
                    while piece := answer.read(PIECE_BYTES):
                        file.write(piece)
                        heard(file.tell())
            except AnswerError as error:
                if error.status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    file.truncate(0)  # it is no part of that file: the next try takes all of it
                raise
        beside.replace(target)

    def bring(self, name: str, at: int, piece: bytes) -> int:
        """Put `piece` at byte `at`; how long the file is then. From there it goes on."""
        with understood():
            return int(self._asking.ask("PUT", f"{PATH}/{quote(name)}?at={at}", piece)["length"])

    def settle(self, name: str, sha256: str = "") -> bool:
        """Whether all of it is there and in its place."""
        return self.settled(name, sha256) is not None

    def settled(self, name: str, sha256: str) -> dict[str, Any] | None:
        """What else the head says of it, if it is."""
        with understood():
            told = self._asking.ask("POST", f"{PATH}/{quote(name)}?sha256={sha256}")
            return told if told["whole"] else None

    def close(self) -> None:
        self._asking.close()
