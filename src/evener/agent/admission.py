"""Who may come in: all agents of a run have one version of evener and of torch. Decides only.

Both sides of a connection judge, each by the two hellos that both have seen, so both come to the
same verdict. Who trains stays. Before anybody trains, the lowest id decides, as soon as it is
there or can no longer be expected: of three, two may agree and yet differ from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from evener import versions
from evener.agent.naming import Names
from evener.errors import EvenerError, VersionsDiffer
from evener.placement import Plan
from evener.versions import Versions
from evener.wire.frames import Frame


@dataclass(frozen=True, slots=True)
class Refusal:
    """Of two that met, `agent` is the one that must not train, and why."""

    agent: str
    error: EvenerError


@dataclass(frozen=True, slots=True)
class _Caller:
    """What an agent says of itself when it greets another."""

    agent: str
    versions: Versions
    trains: bool  # it is in a generation
    leads: bool  # no lower id is with it, and none is awaited


class Admission:
    """One agent's door."""

    def __init__(self, plan: Plan, me: str, own: Versions) -> None:
        self._me, self._own = me, own
        self.names = Names(plan, me)

    def hello(self, *, trains: bool, leads: bool) -> Frame:
        own = {"machine": self.names.machine(self._me), **versions.greeting(self._own)}
        return {"role": "agent", "agent": self._me, "trains": trains, "leads": leads, **own}

    def judge(self, said: Frame, heard: Frame) -> Refusal | bool:
        """Whether to speak with who said `heard` to our `said`.

        False without a refusal: who decides has not been met by both of us yet.
        """
        me, other = _caller(said), _caller(heard)
        self.names.learn(other.agent, heard.get("machine"))
        if not versions.differing(me.versions, other.versions):
            return True
        if me.trains == other.trains:
            stays, leaves = sorted((me, other), key=lambda c: c.agent)
            if not stays.leads:
                return False
        else:
            stays, leaves = (me, other) if me.trains else (other, me)
        return Refusal(leaves.agent, self._refusal(leaves, stays))

    def unlike(self, hello: Frame) -> EvenerError | None:
        """Why a rank of ours must not train: it imported something else than its machine has."""
        rank = versions.greeted(hello)
        packages = versions.differing(self._own, rank)
        if not packages:
            return None
        return VersionsDiffer(
            f"a rank of agent {self._me} imported {versions.named(rank, packages)}, but "
            f"{versions.named(self._own, packages)} is what is installed",
            where=self.names.machine(self._me),
            fix="look for a second copy on PYTHONPATH, or install anew (in a container: build the "
            "image anew)",
        )

    def _refusal(self, refused: _Caller, by: _Caller) -> EvenerError:
        packages = versions.differing(refused.versions, by.versions)
        here, there = (
            f"agent {c.agent} ({self.names.machine(c.agent)}) has "
            f"{versions.named(c.versions, packages)}"
            for c in (refused, by)
        )
        return VersionsDiffer(
            f"{here}, {there}: they cannot train together",
            where=self.names.machine(refused.agent),
            fix=f"install {versions.named(by.versions, packages)} there (in a container: build the "
            "image anew), then start it again",
        )


def _caller(hello: Frame) -> _Caller:
    """Who said this. Another version may say less."""
    return _Caller(
        str(hello.get("agent", "")),
        versions.greeted(hello),
        hello.get("trains") is True,
        hello.get("leads") is True,
    )
