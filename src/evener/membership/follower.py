"""An agent's part in a change of generation: promise a ballot, halt, say where we stand, form.

Every agent follows, the leader too. What is here needs no network: it is asked and it answers,
and what the ranks are to do goes to `out`.
"""

from __future__ import annotations

from evener.membership.generation import Ballot, Generation
from evener.membership.peers import Peers
from evener.membership.ranks import NEVER, Ranks
from evener.membership.words import FormRanks, HaltRanks, Output, Ready, Settings


class Follower:
    """What this agent has promised, what it accepted, and how far its ranks have come to stand."""

    def __init__(self, me: str, settings: Settings, peers: Peers, out: list[Output]) -> None:
        self._me = me
        self._settings = settings
        self._peers = peers
        self._out = out
        self.ranks = Ranks()
        self.promised = NEVER  # the highest ballot we answered; no lower one is ever answered
        self.preparing = False  # whether the promised ballot's generation is still to come
        self.current: Generation | None = None  # accepted last, formed or not
        self.agents: tuple[str, ...] = ()  # of the current generation
        self.urgent = False  # whether the halt under way breaks the group
        self._last: Generation | None = None  # the last that trained here
        self._broken = False
        self._formed_by = 0.0  # the current group has met by then, or has failed
        self._halted_by = 0.0  # ranks stand by then, or are broken off
        self._kept_at = 0.0  # when the leader of the promised ballot last spoke of it
        self._answered: Ready | None = None
        self._answered_from: tuple[object, ...] = ()  # what was known then
        self._content_at, self._content = -1, False  # see below: as of which change of our ranks

    # ------------------------------------------------------------------------ what happened

    def broke(self, rank: int, life: int, ballot: Ballot) -> None:
        """Only the group we are in can break; what came before it is over."""
        ours = self.current is not None and self.current.ballot == ballot
        self._broken = self._broken or (ours and self.ranks.live(rank, life))

    def note_training(self) -> None:
        """A group that has met is the last generation that this agent can vouch for.

        One that never met says nothing: others may have gone on from the one before.
        """
        current = self.current
        if self._last is not current is not None and self.ranks.all_formed(current.ballot):
            self._last = current

    def others_met(self) -> None:
        """In the group that we agreed to. Without a rank in it we only know what we are told."""
        self._last = self.current

    @property
    def met(self) -> bool:
        """Whether the current generation is one that this agent can vouch for."""
        return self.current is not None and self._last is self.current

    def slept(self, for_s: float) -> None:
        self._kept_at += for_s

    # -------------------------------------------------------------------- promise and answer

    def promise(self, ballot: Ballot, urgent: bool, now: float) -> None:
        """From here on every lower ballot is refused.

        A group that has not met will not come to a boundary together: do not wait for one.
        """
        if not self.preparing:
            self.urgent, self._halted_by = False, now + self._settings.halt_s
        self.promised, self.preparing = ballot, True
        self.urgent = self.urgent or urgent or self.ranks.forming
        self.asked_again(now)
        self._halt()

    def asked_again(self, now: float) -> None:
        """Its leader still wants it, and perhaps did not hear our answer."""
        self._kept_at, self._answered, self._answered_from = now, None, ()

    def make_urgent(self) -> None:
        if not self.urgent:
            self.urgent = True
            self._halt()

    def must_break_off(self, now: float) -> bool:
        """Whether ranks wait for a boundary with the dead, or for too long."""
        if not self.preparing or self.urgent or not self.ranks.running:
            return False
        return now >= self._halted_by or self.member_gone() is not None

    def answer(self) -> Ready | None:
        """That all ranks stand, and where; once, and again when that changes."""
        if not self.preparing:
            return None
        past = self._last or self.current
        gone = () if past is None else self._peers.gone_of(past)
        unheard = self._peers.unheard
        known = (self.ranks.changes, self._last, gone, unheard)
        if known == self._answered_from or self.ranks.running:
            return None
        self._answered_from, standings = known, self.ranks.standings()
        ready = Ready(self._me, self.promised, standings, self._last, gone, unheard)
        if ready == self._answered:
            return None
        self._answered = ready
        return ready

    def accept(self, generation: Generation, now: float) -> bool:
        """Only the very ballot we promised, and only once."""
        if not self.preparing or generation.ballot != self.promised:
            return False
        if self.current is not None and generation.lacks(self.current):
            # Perhaps they are needed now; the others meet first, and go on.
            self.ranks.all_back(now + self._settings.dead_s)
        self.current, self.agents = generation, generation.agents
        self._formed_by = now + self._settings.form_s
        self.preparing = self._broken = False
        self._content_at = -1
        dead_on_arrival = self.ranks.missing(generation, self._me)
        if not dead_on_arrival and self.ranks.form(generation):
            self._out.append(FormRanks(generation))
        return True

    # -------------------------------------------------------------------- what is wrong here

    def fault(self, now: float) -> str | None:
        """Why the current generation cannot go on."""
        late = now > self._formed_by and self.ranks.forming
        return (
            self.member_gone()
            or ("the group broke" if self._broken else None)
            or ("the group did not form in time" if late else None)
        )

    def member_gone(self) -> str | None:
        if self.current is None:
            return None
        if not self._ranks_are_content() and self.ranks.missing(self.current, self._me):
            return f"a rank of {self._me} is down"
        alive = self._peers.alive
        dead = [a for a in self.agents if a not in alive]
        if not dead or (self._me not in self.agents and len(dead) < len(self.agents)):
            return None  # those who are in it know better
        return f"{dead[0]} is gone"

    def forsaken(self, now: float) -> bool:
        """Whether the leader of the promised ballot is gone, or speaks of it no more."""
        silent = now - self._kept_at > self._settings.dead_s
        return silent or not self._peers.is_alive(self.promised.agent)

    def change(self, now: float) -> str | None:
        """Why there should be another generation, though nobody is dead.

        Who was parked and is back before the others halted is a member that stands all the same.
        """
        if self._ranks_are_content():
            return None
        if self.ranks.left(self.current):
            return "a rank is parked"
        return "a rank is up" if self._newcomer(now) else None

    def _ranks_are_content(self) -> bool:
        """Whether all who live here are members of the current generation and train, or parked,
        and none of its members here is gone: so it is nearly always, until something happens."""
        ranks, ours = self.ranks, self.current
        if self._content_at != ranks.changes:
            self._content_at = ranks.changes
            strange = ranks.left(ours) or bool(ranks.outside(ours))
            self._content = not strange and (ours is None or not ranks.missing(ours, self._me))
        return self._content

    def _newcomer(self, now: float) -> bool:
        """Whether a rank is up that is no member; those who come soon after it come along."""
        waiting = self.ranks.outside(self.current)
        if self.current is None:
            return bool(waiting)
        return any(now - r.up_at >= self._settings.settle_s for r in waiting)

    def _halt(self) -> None:
        if self.ranks.running:
            self._out.append(HaltRanks(self.promised, self.urgent))
