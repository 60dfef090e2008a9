"""One ballot from its leader's side: who is ready, whether they may go on, what they form."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from evener.membership.generation import Ballot, Generation
from evener.membership.peers import Peers
from evener.membership.start import Wanted
from evener.membership.words import Ready


@dataclass(slots=True)
class Round:
    """A ballot this agent leads, until it is decided or given up."""

    ballot: Ballot
    urgent: bool
    patience_ends_at: float  # from then on nobody alive is waited for who has not answered
    readys: dict[str, Ready] = field(default_factory=dict)
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)  # at the decision

    def generation(
        self,
        peers: Peers,
        now: float,
        wanted: Wanted | None,
        accepted: Generation | None,
        minority_waits: bool,
    ) -> Generation | None:
        """What the ready may form now; None to wait on.

        Where nobody has trained yet, `wanted` are waited for, and what the leader `accepted`
        stands for what was trained: a start that failed is no reason to start in two places.
        """
        waits = now < self.patience_ends_at
        if waits and not self.readys.keys() >= {*peers.alive}:
            return None
        readys = {a: r for a, r in self.readys.items() if peers.is_alive(a)}
        last = newest(readys.values()) or accepted
        gone = set() if last is None else _gone_of(last, readys.values(), peers)
        elsewhere = set() if last is None else {*last.agents} - gone
        if waits and not all(peers.is_silent(a) for a in elsewhere - {*readys}):
            return None
        if last is None:
            enough = wanted is None or (peers.complete and wanted.met_by(readys.values()))
        else:
            enough = may_go_on(last, readys, gone, peers.doubtful - gone) or (
                not minority_waits and not readys.keys().isdisjoint(last.agents)
            )
        anybody = any(r.standings for r in readys.values())
        if not (enough and anybody):
            return None
        self.left_out = cut_off(readys, peers.are_apart, self.ballot.agent)
        return decide(self.ballot, [r for a, r in readys.items() if a not in self.left_out])


def _gone_of(last: Generation, readys: Collection[Ready], peers: Peers) -> set[str]:
    """The dead of `last`, by our own evidence and by that of all who speak of it."""
    told = [r.gone for r in readys if r.last in (last, None)]
    return {*peers.gone_of(last)}.union(*told)


def newest(readys: Collection[Ready]) -> Generation | None:
    """The youngest generation in which anybody here trained."""
    known = [r.last for r in readys if r.last is not None]
    return max(known, key=lambda generation: generation.ballot, default=None)


def may_go_on(
    last: Generation,
    present: Collection[str],
    gone: Collection[str],
    silent: Collection[str] = (),
) -> bool:
    """Whether these are enough of `last`, for thrift: two sides that both go on waste work.

    The dead have no voice, so most of the others will do, or half of them with the lowest id. Of
    two who lost sight of each other both go on: neither can know more than the other's silence.
    The same holds for the last who trained, and all others, of whom nobody else is `silent`.
    """
    voters = {*last.agents} - {*gone}
    agreed = voters & {*present}
    if len(voters) == 2 and agreed:
        return True
    if len(voters) == 1 and voters == {*silent}:
        return True
    if 2 * len(agreed) == len(voters):
        return not voters or min(voters) in agreed
    return 2 * len(agreed) > len(voters)


def cut_off(
    readys: Mapping[str, Ready], are_apart: Callable[[str, str], bool], leader: str
) -> dict[str, tuple[str, ...]]:
    """Who cannot be in one group with the others, and whom it and they do not hear.

    Newcomers before those with a state, then who lacks most of the others, or is behind. The leader
    hears all of these.
    """
    agents = {a for a, r in readys.items() if any(not s.parked for s in r.standings)}
    lacks = {a: {b for b in agents if b != a and are_apart(a, b)} for a in agents}
    steps = {a: max(s.step for s in readys[a].standings) for a in agents}
    found: dict[str, tuple[str, ...]] = {}
    while left := [a for a in lacks if lacks[a] and a != leader]:
        worst = max(left, key=lambda a: (steps[a] < 0, len(lacks[a]), -steps[a], a))
        found[worst] = tuple(sorted(lacks.pop(worst)))
        for others in lacks.values():
            others.discard(worst)
    return found


def decide(ballot: Ballot, readys: Collection[Ready]) -> Generation:
    """All who stand, from the highest step on; the lowest rank that has it is the source.

    The parked stand aside, unless nobody else is left.
    """
    everybody = sorted((s for r in readys for s in r.standings), key=lambda s: s.member.rank)
    chosen = [s for s in everybody if not s.parked] or everybody
    step = max(s.step for s in chosen)
    source = next(i for i, s in enumerate(chosen) if s.step == step)
    parked = tuple(s.member for s in everybody if s not in chosen)
    return Generation(ballot, tuple(s.member for s in chosen), step, source, parked)
