"""The ranks of this agent, as membership sees them: which live, which stand still, and where."""

from __future__ import annotations

from dataclasses import dataclass

from evener.membership.generation import Ballot, Generation, Member
from evener.membership.words import Standing

NEVER = Ballot(0, "")


@dataclass(slots=True)
class Rank:
    """One live rank process. It is born standing and without state."""

    member: Member
    up_at: float
    step: int = -1
    standing: bool = True
    asked: Ballot = NEVER  # the last generation it was told to form
    formed: bool = False  # whether it did
    parked: bool = False  # it stands aside


class Ranks:
    """What the rank processes of one agent said last."""

    def __init__(self) -> None:
        self._live: dict[int, Rank] = {}
        self.changes = 0  # of who lives, stands, has met or is parked, and where who stands does

    # ------------------------------------------------------------------------ what happened

    def up(self, member: Member, now: float) -> None:
        """A newer life replaces the older one; a late word of an older one changes nothing.

        One that was parked is from now on as new as any other.
        """
        known = self._live.get(member.rank)
        self.changes += 1
        if known is None or known.member.life < member.life:
            self._live[member.rank] = Rank(member, now)
        elif known.member == member and known.parked:
            known.parked, known.up_at = False, now

    def down(self, rank: int, life: int) -> None:
        if self._find(rank, life) is not None:
            self.changes += 1
            del self._live[rank]

    def halted(self, rank: int, life: int, ballot: Ballot, step: int) -> None:
        """Any halt asked for after the last order to form will do: a rank that stands stays.

        An answer to a halt from before that order is late, and says nothing about now.
        """
        known = self._find(rank, life)
        if known is not None and ballot > known.asked:
            self.changes += 1
            known.standing, known.step = True, step

    def parked(self, rank: int, life: int, ballot: Ballot) -> None:
        """Told to form since, it will: then it has left a group that is over anyway."""
        known = self._find(rank, life)
        if known is not None and ballot == known.asked:
            self.changes += 1
            known.parked, known.standing, known.step = True, True, -1

    def all_back(self, at: float) -> None:
        """Who is parked is from `at` on as new as any other."""
        self.changes += 1
        for rank in self._live.values():
            if rank.parked:
                rank.parked, rank.up_at = False, at

    def formed(self, rank: int, life: int, ballot: Ballot, step: int) -> None:
        known = self._find(rank, life)
        if known is not None and ballot == known.asked:
            self.changes += 1
            known.formed = True
            if not known.standing:
                known.step = step

    def progress(self, rank: int, life: int, step: int) -> None:
        known = self._find(rank, life)
        if known is not None and step > known.step:
            known.step = step
            if known.standing:
                self.changes += 1

    def form(self, generation: Generation) -> bool:
        """Whether any rank here is a member, and from now on no longer stands."""
        self.changes += 1
        mine = [r for r in self._live.values() if r.member in generation.members]
        for rank in mine:
            rank.asked, rank.standing, rank.formed = generation.ballot, False, False
            rank.parked = False
        return bool(mine)

    # ------------------------------------------------------------------------- what follows

    def live(self, rank: int, life: int) -> bool:
        return self._find(rank, life) is not None

    @property
    def step(self) -> int:
        return max((r.step for r in self._live.values()), default=-1)

    @property
    def running(self) -> bool:
        """Whether any rank may be computing, or about to."""
        return any(not r.standing for r in self._live.values())

    @property
    def forming(self) -> bool:
        """Whether any rank was told to form and has neither done so nor been halted."""
        return any(not r.standing and not r.formed for r in self._live.values())

    def all_formed(self, ballot: Ballot) -> bool:
        """Whether there are ranks here in the group of `ballot`, and all of them have met."""
        asked = [r for r in self._live.values() if r.asked == ballot]
        return bool(asked) and all(r.formed for r in asked)

    def standings(self) -> tuple[Standing, ...]:
        ranks = [self._live[number] for number in sorted(self._live)]
        return tuple([Standing(r.member, r.step, r.parked) for r in ranks])

    def missing(self, generation: Generation, agent: str) -> bool:
        """Whether a member of `agent` is no longer alive, or lives again as somebody new."""
        live = {r.member for r in self._live.values()}
        return any(m.agent == agent and m not in live for m in generation.members)

    def outside(self, generation: Generation | None) -> list[Rank]:
        """Live ranks that the generation does not know, and should."""
        members = () if generation is None else generation.members
        return [r for r in self._live.values() if r.member not in members and not r.parked]

    def left(self, generation: Generation | None) -> bool:
        """Whether a member stands, though nobody asked it to: it was parked."""
        members = () if generation is None else generation.members
        return any(r.standing and r.member in members for r in self._live.values())

    def _find(self, rank: int, life: int) -> Rank | None:
        known = self._live.get(rank)
        return known if known is not None and known.member.life == life else None
