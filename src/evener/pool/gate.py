"""Who asks a pool's server for what lets in: by a code, as a member, or as the owner."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass

from starlette.requests import Request

from evener.pool import relay
from evener.pool.house import Pool
from evener.pool.roll import Member, RefusedError, Roll
from evener.pool.tokens import Guesses, Token


@dataclass(frozen=True, slots=True)
class Caller:
    """One of the three is there."""

    secret: str
    own: bool
    member: Member | None = None
    token: Token | None = None


class TooManyError(RefusedError):
    """Wrong secrets, from one address."""


class Gate:
    """Counts wrong secrets by address."""

    def __init__(self, roll: Roll, pool: Pool) -> None:
        self._roll, self._pool, self._guesses = roll, pool, Guesses()

    def let_in(self, request: Request) -> Caller:
        """Raises RefusedError for a code that was one, NobodyError for all else."""
        secret = relay.bearer(request)
        if hmac.compare_digest(secret, self._pool.owner):
            return Caller(secret, own=True)
        member = self._roll.member_of(secret)
        if member is not None:
            return Caller(secret, own=False, member=member)
        return Caller(secret, own=False, token=self._token(secret, request))

    def _token(self, secret: str, request: Request) -> Token:
        address, now = request.client.host if request.client else "", time.monotonic()
        if self._guesses.too_many(address, now):
            raise TooManyError("too many wrong codes: wait a minute")
        token = self._roll.valid(secret)
        if token is None:
            self._guesses.note(address, now)
            raise relay.NobodyError
        return token
