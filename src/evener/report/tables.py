"""The parts of a report that are words and numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from evener import words
from evener.report.markup import Child, Markup, group, tag
from evener.report.material import Material, Points, Told
from evener.state import RankView, RunState
from evener.units import show_count, show_duration, show_size

ROWS = 256  # of ranks and of machines; what is beyond is counted
SENTENCE, JOB_CHARACTERS = 400, 60_000
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/\s:@\"]+:[^/\s@\"]+@")
MASK = "***"

Row = Sequence[Child]


# ----------------------------------------------------------------------------------- head


def head(state: RunState) -> Markup:
    level = {"finished": "good", "failed": "bad", "stopped": "warning"}.get(state.phase)
    trained = f"{state.model} on {state.data}, {state.global_batch} samples a step"
    what = trained if state.data else state.model
    place = f"{_many(state.ranks_asked, 'rank')} in {_many(state.agents_asked, 'agent')}"
    return tag(
        "header",
        tag("h1", state.run or "a run without a record"),
        tag("p", _outcome(state), class_=" ".join(filter(None, ("outcome", level)))),
        tag("p", what, class_="soft") if state.model else None,
        tag("p", f"{place}, {state.place}", class_="soft") if state.place else None,
    )


def _outcome(state: RunState) -> str:
    total = f" of {state.total_steps}" if state.total_steps else ""
    reason = f": {state.reason or state.stop_reason}" if state.reason or state.stop_reason else ""
    return _cut(f"{state.phase} at step {state.step}{total}{reason}")


def error(values: Mapping[str, Any]) -> Markup:
    """What a failed run failed of."""
    lines = (("where", values.get("where")), ("next", values.get("fix")))
    return tag(
        "section",
        tag("p", tag("strong", f"{values.get('code', '')} "), str(values.get("what", ""))),
        *(tag("p", f"{label}: {said}", class_="soft") for label, said in lines if said),
        class_="error",
    )


def numbers(material: Material) -> Markup:
    shown = [(label, value) for label, value in _numbers(material) if value]
    return tag("dl", *(tag("div", tag("dt", label), tag("dd", value)) for label, value in shown))


def _numbers(material: Material) -> Iterator[tuple[str, str]]:
    state, best, last = material.state, material.state.best_validation, material.state.validation
    yield "training loss", words.number(state.loss) if state.loss is not None else ""
    for name, value in (state.metrics or {}).items():
        yield f"training {name}", _value(name, value)
    if last is not None:
        yield "validation loss", f"{words.number(last.loss)} at step {last.step}"
        for name, value in last.metrics.items():
            yield f"validation {name}", _value(name, value)
    if best is not None:
        yield "best validation loss", f"{words.number(best.loss)} at step {best.step}"
    yield "epoch", words.epoch(state).removeprefix("epoch ") if state.steps_per_epoch else ""
    yield "samples seen", f"{state.cursor:,}" if state.cursor else ""
    yield "samples a second", _speed(state, material.curves.get("seconds"))
    yield "took", _took(state)
    yield "started", when(state.started_at)
    yield "ended", when(state.ended_at)
    yield "parameters", show_count(state.parameters) if state.parameters else ""
    yield "training set", f"{state.samples:,} samples" if state.samples else ""
    yield "skipped steps", str(state.skipped_steps) if state.skipped_steps else ""
    losses = sum(rank.losses for rank in state.ranks)
    yield "ranks lost on the way", str(losses) if losses else ""
    yield "model", state.exported


def _value(name: str, value: float) -> str:
    return words.metric(name, value).removeprefix(f"{name} ")


def _speed(state: RunState, seconds: Points | None) -> str:
    """Of all steps together. Validation, checkpoints and pauses do not count."""
    known = [value for value in (seconds.mean if seconds else ()) if value is not None]
    total = sum(known)
    return words.number(state.global_batch * len(known) / total, 3) if total > 0 else ""


def _took(state: RunState) -> str:
    end = state.ended_at if state.ended_at is not None else state.updated_at
    if state.begun_at is None or end is None:
        return ""
    since = ", since it went on" if state.resumed else ""
    return show_duration(max(end - state.begun_at, 0.0)) + since


def together(state: RunState) -> Markup | None:
    """How near the ranks came to what they do alone, and to what the best shares would do."""
    real, alone = state.measured_samples_per_s, state.alone_samples_per_s
    possible = state.possible_samples_per_s
    if len(state.ranks) < 2 or not (real and alone and possible):
        return None
    return tag(
        "p",
        f"Together {words.number(real, 3)} samples a second at the last look: "
        f"{real / alone * 100:.0f} % of the ranks' own speeds ({words.number(alone, 3)}), "
        f"{real / possible * 100:.0f} % of the possible ({words.number(possible, 3)}).",
    )


# --------------------------------------------------------------------------------- tables


def table(headings: Sequence[str], rows: Sequence[Row], right: Iterable[int] = ()) -> Markup:
    """Headings above rows; columns whose number is in `right` are numbers."""
    classes = ["number" if number in set(right) else None for number in range(len(headings))]
    top = [tag("th", h, scope="col", class_=c) for h, c in zip(headings, classes, strict=True)]
    body = [
        tag("tr", *(tag("td", cell, class_=c) for cell, c in zip(row, classes, strict=True)))
        for row in rows
    ]
    whole = tag("table", tag("thead", tag("tr", *top)), tag("tbody", *body))
    return tag("div", whole, class_="wide")


def ranks(state: RunState) -> Markup:
    names = {machine.agent: machine.name or machine.agent for machine in state.machines}
    total = sum(rank.share for rank in state.ranks if rank.state in ("training", "ended"))
    headings = ("rank", "machine", "device", "state", "share", "own speed", "memory", "lost")
    rows = [_rank(rank, names.get(rank.agent, rank.agent), total) for rank in state.ranks[:ROWS]]
    return _counted(table(headings, rows, (0, 4, 5, 6, 7)), len(state.ranks))


def _rank(rank: RankView, machine: str, total: int) -> Row:
    has_share = total > 0 and rank.state in ("training", "ended")
    why = {"lost": rank.lost_reason, "parked": rank.parked_reason}.get(rank.state, "")
    return (
        str(rank.rank),
        _cut(machine),
        _cut(rank.device),
        _cut(f"{rank.state}: {why}" if why else rank.state),
        f"{rank.share} ({rank.share / total * 100:.0f} %)" if has_share else "",
        f"{words.number(rank.samples_per_s, 3)}/s" if rank.samples_per_s else "",
        show_size(rank.memory_bytes) if rank.memory_bytes else "",
        f"{rank.losses}x" if rank.losses else "",
    )


def machines(state: RunState) -> Markup:
    headings = ("machine", "agent", "system", "processors", "memory", "devices")
    rows: list[Row] = [
        (
            _cut(machine.name or machine.agent),
            _cut(machine.agent),
            _cut(machine.system),
            _cut(
                f"{machine.cpus:g} of {machine.cpu_name}"
                if machine.cpu_name
                else _cpus(machine.cpus)
            ),
            show_size(machine.memory_bytes) if machine.memory_bytes else "",
            _cut(", ".join(machine.devices)),
        )
        for machine in state.machines[:ROWS]
    ]
    return _counted(table(headings, rows, (4,)), len(state.machines))


def _cpus(cpus: float) -> str:
    return f"{cpus:g}" if cpus else ""


def _counted(shown: Markup, count: int) -> Markup:
    more = tag("p", f"and {count - ROWS} more", class_="soft") if count > ROWS else None
    return group((shown, more))


def timeline(told: Sequence[Told]) -> Markup:
    rows: list[Row] = [
        (
            _moment(item.time),
            "" if item.step is None else str(item.step),
            tag("span", _cut(item.text), class_=_level(item.level)),
        )
        for item in told
    ]
    return table(("time (UTC)", "step", "what happened"), rows, (1,))


def alerts(state: RunState) -> Markup:
    rows: list[Row] = [
        (
            _moment(alert.time),
            "" if alert.rank is None else str(alert.rank),
            tag("span", _cut(alert.text), class_=_level(alert.level)),
        )
        for alert in state.alerts
    ]
    return table(("time (UTC)", "rank", "alert"), rows, (1,))


def checkpoints(state: RunState) -> Markup:
    rows: list[Row] = [
        (
            str(kept.step),
            _cut(kept.path),
            show_size(kept.size_bytes),
            words.number(kept.metric) if kept.metric is not None else "",
            "the best" if kept.best else "",
        )
        for kept in state.checkpoints
    ]
    return table(("step", "folder", "size", "metric", ""), rows, (0, 2, 3))


def texts(state: RunState) -> Markup:
    """What the model wrote, the last first."""
    shown = (
        group(
            (
                tag("p", f"at step {text.step}", class_="soft"),
                tag("pre", tag("strong", text.prompt), text.text),
            )
        )
        for text in reversed(state.texts)
    )
    return group(shown)


def job(values: Mapping[str, Any]) -> Markup:
    """The whole job, without what a variable's name or an address says is a secret."""
    shown = dict(values)
    env = shown.get("env")
    if isinstance(env, dict):
        shown["env"] = {k: MASK if _SECRET.search(str(k)) else v for k, v in env.items()}
    text = json.dumps(shown, indent=2, ensure_ascii=False)
    text = _PASSWORD.sub(f"://{MASK}@", text)
    return tag("pre", _cut(text, JOB_CHARACTERS))


# ---------------------------------------------------------------------------------- cells


def when(time: float | None) -> str:
    """In UTC: who reads a report may be anywhere."""
    if time is None:
        return ""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "?"


def _moment(time: float) -> Markup:
    """Of a row in a table whose heading says that it is UTC."""
    return tag("span", when(time).removesuffix(" UTC"), class_="moment")


def _level(level: str) -> str | None:
    return level if level in ("good", "warning", "bad") else None


def _cut(text: str, characters: int = SENTENCE) -> str:
    return text if len(text) <= characters else text[:characters] + "…"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
