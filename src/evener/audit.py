"""Did it happen as promised? Every rank's ledger held against the others', the record and disk.

Each sample of an epoch in exactly one step (`samples`), one history (`history`), no step undone
but by the death of all (`undone`), sums that are alike to the bit (`sums`), weights too
(`replicas`), no process that goes back (`order`), a record that has it all (`record`), a newest
checkpoint that is whole (`checkpoint`).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from evener.errors import CheckpointDamaged, NoCheckpoint
from evener.events import Alert, Record, ReplicasCompared, RunStarted, StepCommitted
from evener.membership.generation import Ballot
from evener.rundir import checkpoints, ledger
from evener.rundir.layout import RunDir
from evener.rundir.ledger import UNWRITTEN, Life, Line, Restored
from evener.rundir.recover import recover
from evener.rundir.store import Store

Lives = Mapping[int, Sequence[Life]]  # by rank: what each of its processes wrote
ONE_IN_FLIGHT = 1  # a step that only the dead had committed is computed again, alike


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise, whether it was kept, and the numbers."""

    promise: str
    kept: bool
    text: str


@dataclass(eq=False, slots=True)
class _Group:
    """What the ranks of one generation committed. Its times are by the clocks of several machines,
    any of which may be wrong: what came first is asked of numbers, where they know."""

    session: int  # the start of the run that it is of
    lines: list[Line]
    first: int
    last: int
    began: float
    ended: float
    restored: bool = False  # one of it took its state from a checkpoint

    def add(self, line: Line) -> None:
        self.lines.append(line)
        self.first, self.last = min(self.first, line.step), max(self.last, line.step)
        self.began, self.ended = min(self.began, line.time), max(self.ended, line.time)

    def is_before(self, other: _Group) -> bool:
        """Whether it was over when `other`, which comes later, began."""
        return self.session < other.session or self.ended < other.began


def audit(run: RunDir) -> list[Finding]:
    """What the files of a run say, whether it is going or over."""
    recover(run)
    with Store.open(run.db, write=False) as store:  # before the ledgers: they are ahead of it
        records = tuple(store.records())
    lives = {rank: ledger.read(file) for rank, file in run.ledgers().items()}
    return [*judge(lives, records), _checkpoint(run)]


def judge(lives: Lives, records: Sequence[Record]) -> list[Finding]:
    """Pure."""
    lines = [line for words in lives.values() for life in words for line in life.lines]
    if not lines:
        return [Finding("samples", True, "no rank has taken a step")]
    starts = sorted(r.time for r in records if isinstance(r.event, RunStarted))
    groups = _groups(lives, starts)
    steps = {line.step: line for line in lines}
    compared = [r.event for r in records if isinstance(r.event, ReplicasCompared)]
    alerts = (r.event.text for r in records if isinstance(r.event, Alert))
    whole = not any(UNWRITTEN in text for text in alerts)
    return [
        _samples(steps, lines, whole),
        _history(steps, lines),
        _undone(groups),
        _sums(groups),
        _replicas(compared),
        _order(lives),
        _record(steps, records, starts, whole),
    ]


def _groups(lives: Lives, starts: Sequence[float]) -> list[_Group]:
    """In order. Ballots begin anew with each start of the run, and only rise from there."""
    groups: dict[tuple[int, Ballot], _Group] = {}
    idle = list[Restored]()
    for words in lives.values():
        session = 0
        for life in words:
            session = max(session, _session(_newest(life), starts))
            for line in life.lines:
                begun = _Group(session, [], line.step, line.step, line.time, line.time)
                groups.setdefault((session, line.ballot), begun).add(line)
            if life.restored and life.lines:
                groups[session, life.lines[0].ballot].restored = True
            elif life.restored:
                idle.append(life.restored)
    ordered = [groups[key] for key in sorted(groups)]
    for restored in idle:  # and died at once: its state may live on in others
        for group in [g for g in ordered if g.began >= restored.time][:1]:
            group.restored = True
    return ordered


def _newest(life: Life) -> float:
    """When it said its last: a process is of one start, and that is farthest from the one before,
    should its clock be slow."""
    told = [line.time for line in life.lines[-1:]]
    return max([*told, *([life.restored.time] if life.restored else [])], default=0.0)


def _session(time: float, starts: Sequence[float]) -> int:
    """Nothing is from before the first one, whatever a clock says."""
    return bisect_right(starts, time, lo=min(1, len(starts)))


def _finding(promise: str, wrong: Iterable[str], kept: str) -> Finding:
    found = list(wrong)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Finding(promise, not found, f"{found[0]}{more}" if found else kept)


def _samples(steps: Mapping[int, Line], lines: Sequence[Line], whole: bool) -> Finding:
    """Each step's shares make up its batch, and the batches follow each other without a gap."""

    def wrong() -> Iterator[str]:
        for line in lines:
            if min(line.shares) < 0 or sum(line.shares) != line.stop - line.start:
                yield f"step {line.step}: shares {line.shares} are not its samples"
        lengths = set()
        for a, b in pairwise(sorted(steps)):
            one, two = steps[a], steps[b]
            if b != a + 1:
                if whole:
                    yield f"no rank has committed step {a + 1}"
            elif two.epoch == one.epoch + 1 and two.start == 0:
                lengths.add(one.stop)
            elif (two.epoch, two.start) != (one.epoch, one.stop):
                yield f"step {b} begins at sample {two.start}, step {a} ended at {one.stop}"
        if len(lengths) > 1:
            yield f"epochs have {sorted(lengths)} samples"

    first, last = min(steps), max(steps)
    taken = sum(line.stop - line.start for line in steps.values())
    kept = f"steps {first} to {last} took {taken} samples, each in exactly one step"
    if not whole:
        kept += f"; {last - first + 1 - len(steps)} steps are in no ledger: a disk did not take it"
    return _finding("samples", wrong(), kept)


def _history(steps: Mapping[int, Line], lines: Sequence[Line]) -> Finding:
    wrong = (
        f"step {line.step} is {line.samples} to one rank and {steps[line.step].samples} to another"
        for line in lines
        if line.samples != steps[line.step].samples
    )
    ballots: dict[int, set[Ballot]] = {}
    for line in lines:
        ballots.setdefault(line.step, set()).add(line.ballot)
    again = sum(len(b) - 1 for b in ballots.values())
    kept = f"{len(steps)} steps; {again} were computed by two generations, of the same samples"
    return _finding("history", wrong, kept)


def _undone(groups: Sequence[_Group]) -> Finding:
    """What a generation begins below is lost, unless a checkpoint was gone back to, or somebody
    still had it: that is a fork."""
    lost, restarts, origin = list[str](), 0, 0
    for index, group in enumerate(groups):
        origin = index if group.restored else origin
        passed = [(at, g) for at, g in enumerate(groups[:index]) if g.is_before(group)]
        since = (g.last for at, g in passed if at >= origin or not g.is_before(groups[origin]))
        before = max(since, default=-1)
        if before - (group.first - 1) > ONE_IN_FLIGHT:
            lost.append(f"a generation began at step {group.first}, after step {before}")
        elif before < 0 and any(g.last >= group.first for _, g in passed):
            restarts += 1
    kept = "no generation went back"
    if restarts:
        kept += f", but {restarts} that began from a checkpoint, all ranks having stopped or died"
    return _finding("undone", lost, kept)


def _sums(groups: Sequence[_Group]) -> Finding:
    """All ranks of a generation hold the same sums."""

    def wrong() -> Iterator[str]:
        for group in groups:
            known: dict[int, Line] = {}
            for line in group.lines:
                other = known.setdefault(line.step, line)
                if (line.shares, repr(line.loss)) != (other.shares, repr(other.loss)):
                    yield f"step {line.step}, ballot {line.ballot}: ranks differ"

    told = sum(len(group.lines) for group in groups)
    kept = f"{told} words of ranks in {len(groups)} generations are alike to the bit"
    return _finding("sums", wrong(), kept)


def _replicas(compared: Sequence[ReplicasCompared]) -> Finding:
    """Told is the first time, and where weights differ; who was astray took over what holds."""
    if not compared:
        return Finding("replicas", True, "not compared yet")
    mended = [f"rank {rank} at step {c.step}" for c in compared for rank in c.resent]
    worst = max(drift for c in compared for drift in c.drift)
    text = f"weights were compared, and at most {worst:.1e} of their norm apart"
    if mended:
        text += f"; found and mended: {', '.join(mended)}"
    return Finding("replicas", True, text)


def _order(lives: Lives) -> Finding:
    """A process that was left behind commits nothing more, until it has caught up."""

    def wrong() -> Iterator[str]:
        for rank, words in lives.items():
            for life in words:
                for a, b in pairwise(life.lines):
                    if b.step <= a.step or b.ballot < a.ballot:
                        yield f"rank {rank} did step {b.step} ({b.ballot}) after {a.step}"
                    elif b.ballot == a.ballot and b.step != a.step + 1:
                        yield f"rank {rank} left out steps {a.step + 1} to {b.step - 1}"

    return _finding("order", wrong(), f"no process of {len(lives)} ranks ever went back")


def _record(
    steps: Mapping[int, Line], records: Sequence[Record], starts: Sequence[float], whole: bool
) -> Finding:
    """How often steps are recorded may change with each start of the run."""
    newest = {record.source: record.time for record in records}
    told: dict[int, set[int]] = {}
    for record in records:
        if isinstance(record.event, StepCommitted):
            session = _session(newest[record.source], starts)
            told.setdefault(session, set()).add(record.event.step)

    def wrong() -> Iterator[str]:
        for record in records:
            event = record.event
            if not isinstance(event, StepCommitted):
                continue
            line = steps.get(event.step)
            if line is None and whole:
                yield f"the record has step {event.step}, which no rank committed"
            elif line and (event.epoch, event.samples) != (line.epoch, line.stop - line.start):
                yield f"the record tells step {event.step} otherwise"
        for session in told.values():
            every = math.gcd(*(b - a for a, b in pairwise(sorted(session))))
            for a, b in pairwise(sorted(session)):
                if b - a > every:
                    yield f"the record lacks step {a + every}"

    known = set[int]().union(*told.values())
    return _finding("record", wrong(), f"it has {len(known)} steps, up to {max(known, default=0)}")


def _checkpoint(run: RunDir) -> Finding:
    """The newest that is listed is what a resume begins with."""
    try:
        newest = checkpoints.choose(run.checkpoints, "last", "loss")
        checkpoints.verify(newest.path)
    except NoCheckpoint:
        return Finding("checkpoint", True, "there is none")
    except CheckpointDamaged as error:
        return Finding("checkpoint", False, error.what)
    return Finding("checkpoint", True, f"{newest.path.name} is whole")
