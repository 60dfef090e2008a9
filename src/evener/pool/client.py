"""Calls of a pool's server: by a machine that joins or has joined, and by the owner."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evener import cluster, errors, versions
from evener.pool import house, mesh
from evener.probe import probe
from evener.wire.calls import Server
from evener.wire.frames import join_address

CALL_S = 10.0


class AnsweredError(Exception):
    """Another status than that all is well, and what the server said to it."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"status {status}: {said}")
        self.status, self.said = status, said


@dataclass(frozen=True, slots=True)
class Client:
    """One connection, or one for each call. Whatever is wrong with the way there is an OSError."""

    server: Server
    secret: str = field(repr=False)

    @contextlib.contextmanager
    def connected(self, timeout_s: float) -> Iterator[http.client.HTTPConnection]:
        with contextlib.closing(self.server.connection(timeout_s)) as connection:
            yield connection

    def call(
        self,
        method: str,
        path: str,
        told: Any = None,
        *,
        timeout_s: float = CALL_S,
        over: http.client.HTTPConnection | None = None,
    ) -> Any:
        """Raises OSError, or AnsweredError."""
        if over is None:
            with self.connected(timeout_s) as connection:
                return self.call(method, path, told, over=connection)
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        try:
            over.request(method, "/pool/" + path, json.dumps(told or {}), headers)
            answer = over.getresponse()
            said = json.loads(answer.read())
        except (http.client.HTTPException, ValueError) as error:
            over.close()
            raise ConnectionError(f"the answer cannot be read: {error!r}") from error
        except OSError:
            over.close()
            raise
        if answer.status != http.client.OK:
            raise AnsweredError(answer.status, str(said.get("error", "")))
        return said


@dataclass(frozen=True, slots=True)
class Owner:
    """The pool of this machine, for who owns it. Everything here raises PoolAway where its server
    does not answer."""

    client: Client

    def members(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "members")["members"])

    def network(self) -> str:
        """What the pool says of it."""
        return str(self._call("GET", "members")["network"])

    def tokens(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "tokens")["tokens"])

    def mint(self, lasts_s: float, uses: int) -> dict[str, Any]:
        return dict(self._call("POST", "tokens", {"lasts_s": lasts_s, "uses": uses}))

    def revoke(self, token_id: str) -> bool:
        try:
            self._call("DELETE", f"tokens/{token_id}")
        except AnsweredError:
            return False
        return True

    def runs(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "runs")["runs"])

    def run(self, key: str) -> dict[str, Any] | None:
        return next((run for run in self.runs() if run["key"] == key), None)

    def want(self, run: dict[str, Any]) -> None:
        self._call("POST", "runs", run)

    def withdraw(self, key: str) -> None:
        self._call("DELETE", f"runs/{key}")

    def down(self) -> None:
        self._call("POST", "down")

    def _call(self, method: str, path: str, told: Any = None) -> Any:
        try:
            return self.client.call(method, path, told)
        except OSError as error:
            server = self.client.server
            raise errors.PoolAway(
                f"the pool's server does not answer: {error}",
                where=join_address(server.host, server.port),
                fix="`evener up` starts it again, into the same pool",
            ) from error


def introduction(folder: Path) -> dict[str, Any]:
    """What a machine says of itself when it joins, and again when its certificate is renewed."""
    key = mesh.public_key(house.mesh_folder(folder))
    return {"machine": cluster.to_dict(probe()), "evener": versions.EVENER, "mesh": key}


def owner() -> Owner:
    """Raises NoPool where this machine has none."""
    pool = house.read_pool()
    if pool is None:
        raise errors.NoPool(
            "this machine has no pool",
            where=str(house.pool_folder()),
            fix="`evener up` makes one, and prints the line that joins others",
        )
    return Owner(Client(pool.here, pool.owner))
