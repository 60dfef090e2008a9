"""The picture of a run: its state as lines for a terminal of a given size. Pure; draws nothing."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from evener import words
from evener.cli.console import clean
from evener.cli.marks import Marks, bar, sparkline
from evener.cli.paper import fit, flow, spread, text, wrapped
from evener.cli.ranks import rank_table, together
from evener.cli.trails import Trails
from evener.state import RunState, ValidationView
from evener.units import show_count, show_duration

WIDEST = 120  # beyond it the eye loses the line
LABEL = 7
EVENTS, TEXT_LINES = 10, 6  # at most, where the height leaves room
LONGEST_CURVE, SHORTEST_CURVE = 40, 8
PHASES = {
    "starting": "yellow",
    "training": "green",
    "stopping": "yellow",
    "finished": "bold green",
    "stopped": "bold yellow",
    "failed": "bold red",
}
LEVELS = {"good": "green", "warning": "yellow", "bad": "red", "note": ""}


@dataclass(frozen=True, slots=True)
class Canvas:
    """What there is to draw on. `height` None: as many lines as it takes."""

    width: int
    marks: Marks
    height: int | None = None
    widest: int = WIDEST

    @property
    def columns(self) -> int:
        return min(self.width, self.widest) - 1  # the last column makes some terminals wrap


def picture(
    state: RunState,
    told: Sequence[words.Sentence],
    canvas: Canvas,
    now: float,
    hint: str = "",
    trails: Trails | None = None,
) -> list[Text]:
    """All of it, from what matters most to what gives way first when the window is low."""
    trails = trails or Trails()
    measured = measures(state, canvas, trails)
    top = [*heading(state, canvas, now), text(), *measured, *[text()] * bool(measured)]
    foot = [text((hint, "dim"))] if hint else []
    room = _room(canvas, len(top) + len(foot))
    speeds = together(state, canvas.columns)
    table = rank_table(state, canvas.columns, room - len(speeds), canvas.marks, trails)
    table += speeds if table else []
    room -= len(table) + 1
    sample = _sample(state, canvas, min(room // 2, TEXT_LINES))
    room -= len(sample) + 1
    events = telling(told, canvas, min(room, EVENTS))
    blocks = [block for block in (table, events, sample, foot) if block]
    lines = [*top, *(line for block in blocks for line in (*block, text()))][:-1]
    shown = lines if canvas.height is None else lines[: canvas.height]
    return [fit(line, canvas.columns, canvas.marks) for line in shown]


def _room(canvas: Canvas, used: int) -> int:
    return 10_000 if canvas.height is None else max(canvas.height - used - 1, 0)


# -------------------------------------------------------------------------------- head


def heading(state: RunState, canvas: Canvas, now: float) -> list[Text]:
    """Two lines: which run, how it is, where; what it trains, and for how long already."""
    dot = f" {canvas.marks.dot} "
    size = [_many(state.agents_asked, "agent")] if state.agents_asked > 1 else []
    place = dot.join([state.place, *size, _many(state.ranks_asked, "rank")])
    first = text((state.run, "bold"), "  ", (_phase(state), PHASES[state.phase]))
    what = [f"{state.model} on {state.data}"]
    what += [f"batch {state.global_batch}"] if state.global_batch else []
    if state.parameters:
        what.append(f"{show_count(state.parameters)} parameters")
    return [
        spread(first, text((place, "dim")), canvas.columns, canvas.marks),
        spread(
            text((dot.join(what), "dim")),
            text((_elapsed(state, now), "dim")),
            canvas.columns,
            canvas.marks,
        ),
    ]


def _phase(state: RunState) -> str:
    if state.phase == "starting" and state.ranks:
        built = sum(rank.state in ("built", "training") for rank in state.ranks)
        return f"starting: {built} of {_many(state.ranks_asked, 'rank')} ready"
    if state.phase == "stopping" and state.stop_reason:
        return f"stopping: {state.stop_reason}"
    return state.phase


def _elapsed(state: RunState, now: float) -> str:
    if state.begun_at is None:
        return ""
    end = state.ended_at if state.ended and state.ended_at is not None else now
    return show_duration(max(round(end - state.begun_at), 0)) if end > state.begun_at + 1 else ""


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# ---------------------------------------------------------------------------- measures


def measures(state: RunState, canvas: Canvas, trails: Trails | None) -> list[Text]:
    """A line each for steps, losses and speed. Without trails they have no curves: then those
    are drawn elsewhere."""
    if not state.total_steps and not state.step:
        return []  # nothing has been measured yet
    width = canvas.columns - LABEL
    losses = [loss for _, loss in state.loss_tail] if trails else []
    speeds = [speed for _, speed in trails.speeds(LONGEST_CURVE)] if trails else []
    rows = [
        ("step", _step(state, width, canvas.marks)),
        ("loss", _loss(state, width, canvas.marks, losses)),
    ]
    if state.validation is not None:
        rows.append(("valid", _validation(state, state.validation, width)))
    rows.append(("speed", _speed(state, width, canvas.marks, speeds)))
    return [text((f"{label:{LABEL}}", "dim"), line) for label, line in rows]


def _step(state: RunState, width: int, marks: Marks) -> Text:
    if not state.total_steps:
        return text((str(state.step), "bold"))
    fraction = state.step / state.total_steps
    count = f"{state.step:>{len(str(state.total_steps))}} of {state.total_steps}"
    after = f"{int(fraction * 100):3d} %"
    if state.steps_per_epoch:
        after += f"   {words.epoch(state)}"
    if state.eta_s is not None and not state.ended:
        after += f"   {show_duration(state.eta_s)} to go"
    done, left = bar(fraction, max(min(width - len(count) - len(after) - 6, 40), 8), marks)
    return text((count, "bold"), "  ", (done, "green"), (left, "dim"), "  ", after)


def _loss(state: RunState, width: int, marks: Marks, losses: Sequence[float]) -> Text:
    if state.loss is None:
        return text(marks.dash)
    value = text((words.number(state.loss), "bold"))
    more = [text(words.metric(k, v)) for k, v in (state.metrics or {}).items()]
    skipped = text((f"{state.skipped_steps} skipped", "yellow")) if state.skipped_steps else None
    rest = flow([*more, skipped], width // 2)
    room = width - value.cell_len - rest.cell_len - 5
    curve = sparkline(losses, min(room, LONGEST_CURVE), marks)
    return flow([value, text((curve, "cyan")), rest], width)


def _validation(state: RunState, last: ValidationView, width: int) -> Text:
    best = state.best_validation
    more = [text(words.metric(name, value)) for name, value in last.metrics.items()]
    when = text((f"at step {last.step}", "dim"))
    record = None
    if best is not None and best.step != last.step:
        record = text((f"best {words.number(best.loss)} at step {best.step}", "green"))
    elif best is not None:
        record = text(("the best so far", "green"))
    return flow([text((words.number(last.loss), "bold")), *more, when, record], width)


def _speed(state: RunState, width: int, marks: Marks, speeds: Sequence[float]) -> Text:
    parts: list[Text] = []
    if state.samples_per_s and not state.ended:
        parts.append(text((f"{words.number(state.samples_per_s, 3)} samples/s", "bold")))
    if state.step_s and not state.ended:
        parts.append(text(f"{show_duration(state.step_s)} a step"))
    if state.lr is not None:
        parts.append(text(f"lr {state.lr:.3g}"))
    if state.grad_norm is not None:
        parts.append(text(f"gradient {words.number(state.grad_norm, 3)}"))
    room = width - flow(parts, width).cell_len - 3
    if room >= SHORTEST_CURVE and state.samples_per_s and not state.ended:
        curve = sparkline(speeds, min(room, LONGEST_CURVE), marks, low=0.0)
        parts.insert(1, text((curve, "cyan")))
    return flow(parts, width) if parts else text("-")


# ------------------------------------------------------------------------------- below


def telling(told: Sequence[words.Sentence], canvas: Canvas, room: int) -> list[Text]:
    """The last of them, each whole: why a rank is slow stands at the end of its sentence."""
    lines: list[Text] = []
    for sentence in reversed(told):
        more = _sentence(sentence, canvas.columns)
        if len(lines) + len(more) > room:
            return lines or more[: max(room, 0)]
        lines = more + lines
    return lines


def _sentence(told: words.Sentence, width: int) -> list[Text]:
    """What goes on in a second line stands under what it goes on from."""
    first = time.strftime("%H:%M:%S  ", time.localtime(told.time))
    style = LEVELS.get(told.level, "")
    rest = textwrap.wrap(clean(told.text), max(width - len(first), 20))
    margins = [first, *[" " * len(first)] * (len(rest) - 1)]
    return [text((m, "dim"), (line, style)) for m, line in zip(margins, rest, strict=True)]


def _sample(state: RunState, canvas: Canvas, room: int) -> list[Text]:
    if not state.texts or room < 2:
        return []
    last = state.texts[-1]
    written = wrapped(clean((last.prompt + last.text).strip("\n")), canvas.columns - 4)
    lines = [text("  ", (line, "italic")) for line in written[: room - 1]]
    return [text((f"text at step {last.step}", "dim")), *lines]
