"""Who is in the pool, what lets others in, and what each is to do; on disk before it is said.

The server may die at any moment and finds the same pool when it is back. Kept are what was decided;
who is there at this moment is `attendance`.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from evener import cluster
from evener.cluster import Machine
from evener.pool import mesh, paths, tokens
from evener.pool.code import SECRET_BYTES
from evener.pool.tokens import Token
from evener.rundir import layout

VERSION = 1
PRIVATE = 0o600
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Member:
    """A machine that has joined. `name` is its host's, made unique here."""

    id: str
    name: str
    digest: str = field(repr=False)  # of the secret that it shows
    machine: Machine
    evener: str
    joined_at: float
    own: bool = False  # the server's own machine
    mesh: int = 0  # its number there; 0 where it has no mesh


@dataclass(frozen=True, slots=True)
class Certificate:
    """Of the mesh, as it was given to a member: it outlives a membership."""

    fingerprint: str
    member: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class Wish:
    """An agent that a machine is to have. `ended` is the status with which it has; None: it lives,
    or is to live. `told` is what the agent must know, as `contract.AgentEnv` calls it."""

    id: str
    run: str
    member: str
    told: dict[str, Any] = field(repr=False)
    ended: int | None = None
    words: str = ""  # its last


@dataclass(frozen=True, slots=True)
class Run:
    """A run on the pool's machines. Its head answers on the server's own machine, at `head`."""

    key: str
    name: str
    head: str
    secret: str = field(repr=False)
    wishes: tuple[Wish, ...] = ()
    network: str = paths.HOST
    folder: str = ""  # of it, on that machine


class RefusedError(Exception):
    """A secret that was right once."""


class Roll:
    """All of it, in one file. `now` is what the clock says."""

    def __init__(self, file: Path, now: Callable[[], float] = time.time) -> None:
        self._file, self._now = file, now
        self.tokens: tuple[Token, ...] = ()
        self.members: dict[str, Member] = {}
        self.certificates: tuple[Certificate, ...] = ()
        self.runs: dict[str, Run] = {}
        self.leaving: set[str] = set()  # members that are to leave, when they ask next
        if file.is_file():
            self._read(layout.read_json(file))

    # ------------------------------------------------------------------------------ secrets

    def mint(self, lasts_s: float, uses: int) -> tuple[Token, str]:
        """A new token, and its secret, which is told once."""
        secret = secrets.token_hex(SECRET_BYTES)
        now = self._now()
        made = Token(secrets.token_hex(2), tokens.digest(secret), now, now + lasts_s, uses)
        self.tokens = (*tokens.remembered(self.tokens, now), made)
        self._save()
        return made, secret

    def revoke(self, token_id: str) -> bool:
        known = [token for token in self.tokens if token.id == token_id]
        for each in known:
            self._put(replace(each, revoked=True))
        self._save()
        return bool(known)

    def valid(self, secret: str) -> Token | None:
        """The token of a secret; None where it is none. Raises where it no longer is."""
        token = tokens.find(self.tokens, secret)
        if token is not None and (why := token.why_not(self._now())):
            raise RefusedError(why)
        return token

    def _put(self, token: Token) -> None:
        self.tokens = tuple(token if t.id == token.id else t for t in self.tokens)

    # ----------------------------------------------------------------------------- machines

    def member_of(self, secret: str) -> Member | None:
        wanted = tokens.digest(secret)
        return next((m for m in self.members.values() if m.digest == wanted), None)

    def admit(
        self, machine: Machine, evener: str, token: Token | None, *, own: bool = False
    ) -> tuple[Member, str]:
        """A new member, and the secret that it is to show from now on."""
        secret = secrets.token_hex(_TOKEN_BYTES)
        made = Member(
            id=secrets.token_hex(4),
            name=self._free_name(machine.name),
            digest=tokens.digest(secret),
            machine=machine,
            evener=evener,
            joined_at=self._now(),
            own=own,
        )
        if token is not None:
            self._put(tokens.used(token))
        self.members[made.id] = made
        self._save()
        return made, secret

    def renew(self, member: Member, machine: Machine, evener: str) -> Member:
        """It is back, and may have changed."""
        self.members[member.id] = replace(member, machine=machine, evener=evener)
        self._save()
        return self.members[member.id]

    def number(self, member: Member) -> Member:
        """With a number for the mesh, which it keeps as long as it is a member."""
        if member.mesh:
            return member
        taken = {each.mesh for each in self.members.values()}
        free = (n for n in itertools.count(mesh.FIRST + 1) if n not in taken)
        found = replace(member, mesh=mesh.FIRST if member.own else next(free))
        self.members[member.id] = found
        self._save()
        return found

    def certify(self, member: Member, fingerprint: str, lasts_s: float) -> None:
        """It has a certificate of the mesh from now on."""
        now = self._now()
        kept = (each for each in self.certificates if each.ends_at > now)
        self.certificates = (*kept, Certificate(fingerprint, member.id, now + lasts_s))
        self._save()

    def blocked(self) -> list[str]:
        """Certificates that are good still, of those who have left."""
        now = self._now()
        found = (c for c in self.certificates if c.member not in self.members and c.ends_at > now)
        return sorted(each.fingerprint for each in found)

    def dismiss(self, member_id: str) -> None:
        self.members.pop(member_id, None)
        self.leaving.discard(member_id)
        for run in self.runs.values():
            kept = tuple(wish for wish in run.wishes if wish.member != member_id)
            self.runs[run.key] = replace(run, wishes=kept)
        self._save()

    def _free_name(self, wanted: str) -> str:
        taken = {member.name for member in self.members.values()}
        numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
        return next(name for name in (wanted, *numbered) if name not in taken)

    # --------------------------------------------------------------------------------- runs

    def want(self, run: Run) -> None:
        """A run begins, or one that is known has more wishes."""
        known = self.runs.get(run.key)
        new = {wish.id for wish in run.wishes}
        kept = known.wishes if known and known.secret == run.secret else ()
        wishes = (*(wish for wish in kept if wish.id not in new), *run.wishes)
        self.runs[run.key] = replace(run, wishes=wishes)
        self._save()

    def withdraw(self, key: str) -> None:
        if self.runs.pop(key, None) is not None:
            self._save()

    def wanted_of(self, member_id: str) -> Iterator[Wish]:
        for run in self.runs.values():
            yield from (w for w in run.wishes if w.member == member_id and w.ended is None)

    def end(self, member_id: str, wish_id: str, status: int, words: str) -> None:
        """The member says that it has ended."""
        for run in self.runs.values():
            if any(w.id == wish_id and w.member == member_id for w in run.wishes):
                wishes = tuple(
                    replace(w, ended=status, words=words) if w.id == wish_id else w
                    for w in run.wishes
                )
                self.runs[run.key] = replace(run, wishes=wishes)
                self._save()
                return

    # ------------------------------------------------------------------------------ on disk

    def _save(self) -> None:
        record = {
            "v": VERSION,
            "tokens": [asdict(token) for token in self.tokens],
            "members": [asdict(member) for member in self.members.values()],
            "certificates": [asdict(each) for each in self.certificates],
            "runs": [asdict(run) for run in self.runs.values()],
        }
        layout.write_json(self._file, record, PRIVATE)

    def _read(self, record: dict[str, Any]) -> None:
        self.tokens = tuple(Token(**token) for token in record["tokens"])
        for each in record["members"]:
            member = Member(**{**each, "machine": cluster.from_dict(each["machine"])})
            self.members[member.id] = member
        self.certificates = tuple(Certificate(**each) for each in record.get("certificates", ()))
        for each in record["runs"]:
            run = Run(**{**each, "wishes": tuple(Wish(**wish) for wish in each["wishes"])})
            self.runs[run.key] = run
