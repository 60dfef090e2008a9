"""The membership machine of one agent: told what happened, it answers what to do.

Every agent is a voter, the lowest id believed alive leads, and a change takes two phases: all
ranks halt and say where they stand (Prepare, Ready), then they form anew (Go). The protocol is
told whole in docs/why/membership.md. Pure: the caller owns the clock and the lines. It calls
`handle` for everything that happens, and with a Tick several times per heartbeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evener.membership import words
from evener.membership.callers import Callers, Strangers
from evener.membership.follower import Follower
from evener.membership.generation import Ballot, Generation
from evener.membership.peers import Peers
from evener.membership.round import Round
from evener.membership.start import Start
from evener.membership.words import Input, Message, Output, Ready, Send, Settings


@dataclass(frozen=True, slots=True)
class _Wish:
    """Why there should be another generation; urgent when somebody is dead."""

    reason: str
    urgent: bool


class Membership:
    """One agent's part in agreeing who trains together: it listens, asks, and leads if it must."""

    def __init__(
        self,
        me: str,
        settings: Settings,
        *,
        expected_agents: int,
        expected_ranks: int,
        peers: Sequence[str],
        now: float,
    ) -> None:
        self._me = me
        self._settings = settings
        self._start = Start(expected_agents, expected_ranks, settings.join_s)
        self._now = now
        self._out: list[Output] = []
        self._peers = Peers(me, peers, settings.dead_s, now)
        self._follower = Follower(me, settings, self._peers, self._out)
        self._ranks = self._follower.ranks
        self._round: Round | None = None  # the ballot we lead
        self._highest = 0  # of all ballot numbers seen
        self._strangers = Strangers()
        self._left_out: dict[str, tuple[str, ...]] = {}  # of the last ballot that we decided
        self._callers = Callers(settings.dead_s)
        self._pleaded: tuple[str, bool] | None = None
        self._pleaded_at = now
        self._beat_at = now
        self._done = False

    # --------------------------------------------------------------------- what an agent reads

    @property
    def current(self) -> Generation | None:
        """The generation accepted last, formed or not."""
        return self._follower.current

    @property
    def promised(self) -> Ballot:
        return self._follower.promised

    @property
    def alive(self) -> tuple[str, ...]:
        """The agents believed alive, this one included, in order."""
        return self._peers.alive

    @property
    def leader(self) -> str:
        return self._peers.alive[0]

    @property
    def done(self) -> bool:
        return self._done

    @property
    def step(self) -> int:
        """The last step any live rank here is known to have committed."""
        return self._ranks.step

    def handle(self, input: Input, now: float) -> list[Output]:
        """What to do about `input`. Raises nothing, whatever comes in whichever order."""
        self._now = now
        if slept_s := self._peers.wake(now):
            self._follower.slept(slept_s)
        self._take_in(input)
        self._follower.note_training()
        if not self._done:
            self._pursue()
            if self._follower.preparing:
                self._escalate()
                self._answer()
            if self._round is not None:
                self._decide(self._round)
        if now >= self._beat_at:
            self._beat()
        out = self._out.copy()
        self._out.clear()
        return out

    # ------------------------------------------------------------------------- what happened

    def _take_in(self, input: Input) -> None:
        match input:
            case words.Tick():
                pass
            case words.Heard(message):
                self._hear(message)
            case words.RankProgress(rank, life, step):
                self._ranks.progress(rank, life, step)
            case words.PeerLost(agent):
                self._lose(agent)
            case words.TurnedAway(agent, ranks):
                self._lose(agent)
                self._start.turn_away(agent, ranks)
            case words.Past(number):
                self._highest = max(self._highest, number)
                if self._round is not None and self._round.ballot.number <= number:
                    self._lead(self._round.urgent)  # above those that we had not known of
            case words.RankUp(member):
                self._ranks.up(member, self._now)
                self._start.rank_is_up(self._now)
            case words.RankHalted(rank, life, ballot, step):
                self._ranks.halted(rank, life, ballot, step)
            case words.RankFormed(rank, life, ballot, step):
                self._ranks.formed(rank, life, ballot, step)
            case words.RankParked(rank, life, ballot):
                self._ranks.parked(rank, life, ballot)
            case words.RankBroken(rank, life, ballot):
                self._follower.broke(rank, life, ballot)
            case words.RankDown(rank, life):
                self._ranks.down(rank, life)
            case words.RunDone():
                self._finish()

    def _lose(self, agent: str) -> None:
        self._peers.lose(agent, self.promised)
        if self._round is not None:
            self._round.readys.pop(agent, None)

    def _finish(self) -> None:
        """The run has ended: no more generations, and everybody is told at once."""
        if not self._done:
            self._done, self._round = True, None
            self._beat_at = self._now

    # ---------------------------------------------------------------------- what others say

    def _hear(self, message: Message) -> None:
        if message.sender == self._me:
            return
        if isinstance(message, words.Goodbye):
            self._lose(message.sender)
            if message.done:
                self._finish()
            return
        self._peers.hear(message.sender)
        self._start.is_here(message.sender)
        match message:
            case words.Heartbeat():
                self._hear_heartbeat(message)
            case words.Plea():
                self._hear_plea(message)
            case words.Prepare():
                self._hear_prepare(message)
            case Ready():
                self._hear_ready(message)
            case words.Go(_, generation):
                self._accept(generation)
            case words.Refused(_, promised):
                self._outbid(promised)

    def _hear_heartbeat(self, beat: words.Heartbeat) -> None:
        self._peers.hears_not(beat.sender, beat.unheard)
        self._outbid(beat.promised, beat.current)
        if beat.done:
            self._finish()
        is_ours = self._is_ours(beat)
        if is_ours and beat.met:
            self._follower.others_met()
        self._strangers.heard(beat, is_ours=is_ours, now=self._now)
        ours = self.current
        if ours is not None and beat.promised == ours.ballot != beat.current:
            self._repeat_go(beat.sender, ours)

    def _is_ours(self, beat: words.Heartbeat) -> bool:
        if self.current is None or self.current.ballot != beat.current:
            return False
        return self._follower.agents == beat.agents

    def _repeat_go(self, to: str, generation: Generation) -> None:
        """It promised, and did not hear what came of it."""
        if generation.ballot.agent == self._me and not self._follower.preparing:
            self._send(to, words.Go(self._me, generation))

    def _hear_plea(self, plea: words.Plea) -> None:
        if self._done:
            self._send(plea.sender, self._heartbeat())
        elif self.leader != self._me:
            return
        elif self._round is None:
            if self._callers.urges(plea, self._now) or self._may_join(plea.sender):
                self._lead(plea.urgent)
        elif plea.urgent and not self._round.urgent:
            self._make_urgent()
        elif plea.sender not in self._round.readys:
            self._send(plea.sender, self._prepare(self._round))

    def _may_join(self, agent: str) -> bool:
        """Not before all hear it who train: it would only be left out again."""
        apart = any(self._peers.are_apart(agent, a) for a in self._follower.agents if a != agent)
        return not apart and self._callers.heard(agent, self._now)

    def _hear_prepare(self, prepare: words.Prepare) -> None:
        """Only our own leader is promised anything: two who cannot hear each other never duel."""
        self._see(prepare.ballot)
        if self._done:
            self._send(prepare.sender, self._heartbeat())
        elif prepare.ballot == self.promised:
            if self._follower.preparing:
                self._follower.asked_again(self._now)
                if prepare.urgent:
                    self._follower.make_urgent()
        elif prepare.ballot > self.promised and prepare.sender == self.leader:
            self._promise(prepare.ballot, prepare.urgent)
        else:
            self._send(prepare.sender, words.Refused(self._me, self.promised))

    def _hear_ready(self, ready: Ready) -> None:
        self._peers.hears_not(ready.sender, ready.unheard)
        if ready.standings:
            self._start.rank_is_up(self._now)
        if self._round is not None and self._round.ballot == ready.ballot:
            self._round.readys[ready.sender] = ready

    def _outbid(self, promised: Ballot, current: Ballot | None = None) -> None:
        """Whoever promised a higher ballot will not answer ours: take a higher one yet.

        Who is in a generation that we have still to decide met us in a former life.
        """
        self._see(promised)
        if self._round is not None and (
            promised > self._round.ballot or current == self._round.ballot
        ):
            self._lead(self._round.urgent)

    def _see(self, ballot: Ballot) -> None:
        self._highest = max(self._highest, ballot.number)

    # -------------------------------------------------------------- reasons for a generation

    def _pursue(self) -> None:
        """What is wished is led, or asked of who leads, again with every heartbeat."""
        leader = self._peers.alive[0]
        if leader != self._me:
            self._round = None
        wish = self._wish(leads=leader == self._me)
        if wish is None:
            self._pleaded = None
        elif leader == self._me:
            self._lead(wish.urgent)
        else:
            self._plead(leader, wish)

    def _plead(self, leader: str, wish: _Wish) -> None:
        again = self._now - self._pleaded_at >= self._settings.heartbeat_s
        if again or self._pleaded != (leader, wish.urgent):
            self._pleaded, self._pleaded_at = (leader, wish.urgent), self._now
            self._send(leader, words.Plea(self._me, wish.reason, wish.urgent))

    def _wish(self, *, leads: bool) -> _Wish | None:
        """A ballot we promised comes first, as long as somebody leads it."""
        if self._follower.preparing:
            led = self._round is not None or not self._forsaken()
            return None if led else _Wish(f"ballot {self.promised} stalls", True)
        if (fault := self._follower.fault(self._now)) is not None:
            return _Wish(fault, True)
        if (change := self._follower.change(self._now)) is not None:
            return _Wish(change, False)
        return self._estranged() if leads else None

    def _forsaken(self) -> bool:
        """Our own ballot is, as soon as we lead it no more."""
        return self.promised.agent == self._me or self._follower.forsaken(self._now)

    def _estranged(self) -> _Wish | None:
        """Somebody stays in another generation than the leader's; others leave it to the leader.
        Where a member of ours does, ours comes to no boundary any more."""
        since = self._now - 2 * self._settings.heartbeat_s
        newcomer = self._me if self.current is None else ""
        found = self._strangers.found(since, self._peers.is_alive, newcomer)
        if not found or not any(self._callers.heard(a, self._now) for a in found):
            return None
        urgent = not {*self._follower.agents}.isdisjoint(found)
        return _Wish(f"{', '.join(found)} trains elsewhere", urgent)

    # --------------------------------------------------------------------- as one who is asked

    def _promise(self, ballot: Ballot, urgent: bool) -> None:
        """Whose ballot it may be: a lower one of our own is given up."""
        if self._round is not None and self._round.ballot != ballot:
            self._round = None
        self._follower.promise(ballot, urgent, self._now)

    def _escalate(self) -> None:
        """A halt that cannot end by itself is made urgent: here, and through its leader."""
        if not self._follower.must_break_off(self._now):
            return
        self._make_urgent()
        if self.promised.agent != self._me:
            reason = f"ballot {self.promised} cannot wait"
            self._send(self.promised.agent, words.Plea(self._me, reason, True))

    def _make_urgent(self) -> None:
        self._follower.make_urgent()
        if self._round is not None and not self._round.urgent:
            self._round.urgent = True
            self._ask_all(self._round)

    def _answer(self) -> None:
        ready = self._follower.answer()
        if ready is None:
            return
        if self.promised.agent != self._me:
            self._send(self.promised.agent, ready)
        elif self._round is not None:
            self._round.readys[self._me] = ready

    def _accept(self, generation: Generation) -> None:
        if not self._done and self._follower.accept(generation, self._now):
            self._strangers.clear()
            self._peers.vouch(generation.agents)

    # ----------------------------------------------------------------------------- as a leader

    def _lead(self, urgent: bool) -> None:
        """Open a ballot above all that were ever seen."""
        self._highest += 1
        # Ranks that never halt are killed by their agents well before this patience ends.
        patience_s = 3 * self._settings.halt_s
        self._round = Round(Ballot(self._highest, self._me), urgent, self._now + patience_s)
        self._promise(self._round.ballot, urgent)
        self._ask_all(self._round)

    def _ask_all(self, opened: Round) -> None:
        for agent in self.alive:
            if agent != self._me:
                self._send(agent, self._prepare(opened))

    def _prepare(self, opened: Round) -> words.Prepare:
        return words.Prepare(self._me, opened.ballot, opened.urgent)

    def _decide(self, opened: Round) -> None:
        """Go, as soon as everybody alive is ready and they are enough."""
        wanted = None if self.current is not None else self._start.wanted(self._now)
        waits = self._settings.minority_waits
        generation = opened.generation(self._peers, self._now, wanted, self.current, waits)
        if generation is None:
            return
        self._round = None
        for agent in opened.readys:
            if agent != self._me:
                self._send(agent, words.Go(self._me, generation))
        if opened.left_out != self._left_out:
            self._left_out = opened.left_out
            self._out.extend(words.LeftOut(a, others) for a, others in opened.left_out.items())
        self._out.extend(self._callers.decided(opened.readys, self._now))
        self._accept(generation)

    # -------------------------------------------------------------------------------- speech

    def _beat(self) -> None:
        """Once per heartbeat: that we live, and the open ballot again to all who are alive."""
        self._beat_at = self._now + self._settings.heartbeat_s
        beat = self._heartbeat()
        self._out.extend(Send(peer, beat) for peer in self._peers.known)
        if self._round is not None:
            self._ask_all(self._round)

    def _heartbeat(self) -> words.Heartbeat:
        ballot = None if self.current is None else self.current.ballot
        agents = self._follower.agents
        step, met, unheard = self._ranks.step, self._follower.met, self._peers.unheard
        return words.Heartbeat(
            self._me, self.promised, ballot, step, self._done, agents, met, unheard
        )

    def _send(self, to: str, message: Message) -> None:
        self._out.append(Send(to, message))
