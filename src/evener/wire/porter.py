"""The run's folder on the head's machine, for an agent whose disk it is not on.

Whatever is wrong with the head or its answer is an OSError: try again later.
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from evener.wire.frames import split_address

PATH = "/v1/folder"
ANSWER_S = 30.0  # a checkpoint's hash is that of all its bytes
PIECE_BYTES = 4 * 2**20


class Porter:
    """One connection to a head; not for several threads."""

    def __init__(self, address: str, secret: str) -> None:
        host, port = split_address(address)
        self._connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
        self._headers = {"Authorization": f"Bearer {secret}"}

    def listing(self) -> dict[str, Any]:
        """What is there, as `rundir.freight.listing` says it."""
        return self._told("GET", PATH)

    def fetch(self, name: str, target: Path) -> None:
        """The file called `name`, at `target`: whole or not at all."""
        beside = target.with_name(f".{target.name}.fetched")
        try:
            self._connection.request("GET", f"{PATH}/{quote(name)}", headers=self._headers)
            answer = self._connection.getresponse()
            if answer.status != http.client.OK:
                answer.read()
                raise OSError(f"the head answers {answer.status} for {name}")
            with beside.open("wb") as file:
                while piece := answer.read(PIECE_BYTES):
                    file.write(piece)
        except http.client.HTTPException as error:
            self._connection.close()
            raise OSError(f"{name} did not come whole: {error!r}") from error
        except OSError:
            self._connection.close()
            raise
        beside.replace(target)

    def bring(self, name: str, at: int, piece: bytes) -> int:
        """Put `piece` at byte `at`; how long the file is then. From there it goes on."""
        return int(self._told("PUT", f"{PATH}/{quote(name)}?at={at}", piece)["length"])

    def settle(self, name: str, sha256: str = "") -> bool:
        """Whether all of it is there and in its place."""
        return bool(self._told("POST", f"{PATH}/{quote(name)}?sha256={sha256}")["whole"])

    def close(self) -> None:
        self._connection.close()

    def _told(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        try:
            self._connection.request(method, path, body, self._headers)
            answer = self._connection.getresponse()
            said = answer.read()
            if answer.status != http.client.OK:
                raise OSError(f"the head answers {answer.status}: {said[:200]!r}")
            told = json.loads(said)
        except (http.client.HTTPException, ValueError) as error:
            self._connection.close()
            raise OSError(f"the head's answer cannot be read: {error!r}") from error
        except OSError:
            self._connection.close()
            raise
        if not isinstance(told, dict):
            raise OSError("the head's answer is not what was asked for")
        return told
