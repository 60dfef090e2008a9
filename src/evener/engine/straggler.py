"""Whether a rank, or the exchange of all, has become slow, and the words that say so and why.

Each rank judges itself, by its own reports; of the exchange, which all see alike, the lead
speaks. Nothing is said of a single slow report, and nothing twice.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from evener.engine import signs
from evener.engine.signs import UNKNOWN, Cause, Signs
from evener.engine.usual import Usual
from evener.events import Alert, RankTimed
from evener.shares import Speed

SLOW, WELL, FASTER = 0.7, 0.85, 1.25  # expected over measured time
REPORTS, LASTS_S = 3, 1.5  # so many reports in a row, and so long, before anything is said
MOST_PATIENCE = 64  # times that
COLD = 2  # reports of a new generation that nothing is concluded from
LINK, NONE = Cause("link", ""), Cause("", "")


@dataclass(frozen=True, slots=True)
class Straggling:
    """`score` 0.5: it takes twice as long as expected. `words` are for people."""

    score: float
    cause: str
    words: str


class Spell:
    """Says once that something is slow, again if it is for another reason, and when it is over.

    What comes and goes, as other people's work does, is said ever more seldom: each spell has to
    last twice as long as the one before it, and so has its end.
    """

    def __init__(self) -> None:
        self.told = ""  # the cause that was said last
        self._causes: deque[Cause] = deque(maxlen=REPORTS)
        self._slow, self._slow_s, self._well = 0, 0.0, 0  # in a row
        self._patience = 1

    @property
    def doubtful(self) -> bool:
        return bool(self._slow or self.told)

    def observe(self, score: float, cause: Cause, seconds: float) -> Straggling | None:
        """One more report; the result is to be said."""
        if score >= SLOW:
            self._causes.clear()
            self._slow, self._slow_s = 0, 0.0
            self._well = self._well + 1 if score >= WELL else 0
            return None
        self._causes.append(cause)
        self._slow, self._slow_s, self._well = self._slow + 1, self._slow_s + seconds, 0
        likely = self._likely()
        if likely is None or likely.name == self.told or (self.told and likely.name == UNKNOWN):
            return None
        self.told = likely.name
        return Straggling(score, likely.name, likely.words)

    def over(self) -> bool:
        """Whether it is over, and that is to be said."""
        if not self.told or self._well < REPORTS * self._patience:
            return False
        self.told = ""
        self._patience = min(2 * self._patience, MOST_PATIENCE)
        return True

    def _likely(self) -> Cause | None:
        """None: too early to say. To change one's mind all reports must agree."""
        if self._slow < REPORTS * self._patience or self._slow_s < LASTS_S * self._patience:
            return None
        counts = Counter(c.name for c in self._causes if c.name != UNKNOWN)
        name, count = counts.most_common(1)[0] if counts else (UNKNOWN, REPORTS)
        if self.told and count < REPORTS:
            return None
        return next(c for c in reversed(self._causes) if c.name == name)


class Straggler:
    """One rank's judgement of itself."""

    def __init__(self, rank: int) -> None:
        self._rank = rank
        self._cold = self._faster = 0
        self._members: tuple[int, ...] = ()
        self._line: Speed | None = None
        self._usual = Usual()
        self._own, self._link = Spell(), Spell()

    def begin(self, members: tuple[int, ...], line: Speed | None = None) -> None:
        """A new generation. Of others: who shares machine and batch is new, so all is.

        `line` is this rank's speed, where it is known beforehand.
        """
        self._cold = COLD
        self._faster = 0
        if members == self._members:
            return
        self._members, self._line = members, line
        self._usual = Usual(line)
        self._own, self._link = Spell(), Spell()

    def observe(self, timed: RankTimed, now: Signs, lead: bool) -> list[Alert]:
        """One more report; the alerts are to be emitted."""
        if self._cold or not timed.share or signs.own_s(timed) <= 0:
            self._cold = max(self._cold - 1, 0)
            return []
        if not self._usual.known:
            self._usual.learn(timed, now)
            return []
        expected_s = self._usual.expected_s(timed.share, self._own.doubtful)
        score = expected_s / signs.own_s(timed)
        found = self._judge_own(score, timed, now)
        if lead:
            found += self._judge_link(expected_s, timed)
        self._doubt_what_was_learnt(score)
        return found

    def _judge_own(self, score: float, timed: RankTimed, now: Signs) -> list[Alert]:
        cause = signs.explain(now, self._usual.signs) if score < SLOW else NONE
        said = self._own.observe(score, cause, timed.step_s * timed.steps)
        if said is not None:
            return [Alert("warning", f"rank {self._rank} {_sentence(said)}", self._rank)]
        if self._own.over():
            return [Alert("note", f"rank {self._rank} is back to speed", self._rank)]
        if score >= SLOW and not self._own.told:
            self._usual.learn(timed, now)
        return []

    def _doubt_what_was_learnt(self, score: float) -> None:
        """It was a bad moment, if the rank is faster ever since."""
        self._faster = self._faster + 1 if score > FASTER else 0
        if self._faster > 2 * REPORTS:
            self._usual, self._faster = Usual(self._line), 0

    def _judge_link(self, expected_s: float, timed: RankTimed) -> list[Alert]:
        """Of a step without anybody's slowness: its work as expected, and the exchange."""
        usual_s, usual_wait_s = self._usual.exchange_s, self._usual.wait_s
        if self._own.doubtful or timed.wait_s - usual_wait_s > timed.exchange_s - usual_s > 0:
            return []  # a slow rank makes the exchange slow, this one or another
        score = (expected_s + usual_s) / (expected_s + timed.exchange_s)
        said = self._link.observe(score, LINK, timed.step_s * timed.steps)
        if said is not None:
            return [Alert("warning", _of_link(timed.exchange_s, usual_s))]
        over = self._link.over()
        return [Alert("note", "the exchange of gradients is back to speed")] if over else []


def _sentence(said: Straggling) -> str:
    return f"takes {1 / said.score:.1f} times as long as before: {said.words}"


def _of_link(real_s: float, usual_s: float) -> str:
    was = f"{usual_s * 1000:.0f} ms"
    cost = f"{real_s * 1000:.0f} ms of each step, before {was}; waiting is left out (link)"
    return f"the exchange of gradients takes longer: {cost}"
