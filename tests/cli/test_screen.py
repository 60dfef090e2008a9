"""The full screen: what it says, what keys change, and that it fits wherever it is shown."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest

from evener import events, state
from evener.cli.marks import ASCII, UNICODE, Marks
from evener.cli.render import Canvas
from evener.cli.roster import ORDERS, machine_lines, rank_lines
from evener.cli.screen import Look, Sight, chosen, heights, pressed, readable, screen
from evener.cli.trails import Trails
from evener.events import Record
from evener.state import GpuView, LoadView, MachineView, RankView, RunState
from evener.words import Story
from tests.synthetic_run import Script, records

SCRIPT = Script(lost_at=130)
ANSI_LOG = ("\x1b[32mepoch 1\x1b[0m\tdone", "\x1b[2J\x1b]0;title\x07gone\x9b31m", "last")


def until(step: int, script: Script = SCRIPT) -> list[Record]:
    """What was recorded until `step` was committed, and all that was told at that moment."""
    return list(itertools.takewhile(lambda r: getattr(r.event, "step", 0) <= step, records(script)))


def sight(told: list[Record], **more: Any) -> Sight:
    story, trails = Story(), Trails()
    story.add(told)
    trails.add(told)
    now = told[-1].time if told else 0.0
    return dataclasses.replace(Sight(state.fold(told), story.last(100), trails, now=now), **more)


def lines(shown: Sight, width: int = 80, height: int = 24, marks: Marks = UNICODE) -> list[str]:
    return [line.plain for line in screen(shown, Canvas(width, marks, height))]


def crew(count: int, **changes: Any) -> RunState:
    """A run of many ranks, the second of them lost, each slower than the one before."""
    ranks = tuple(
        RankView(
            n, "a00", device="cpu", state="lost" if n == 1 else "training", share=2,
            samples_per_s=1000.0 - n, step_s=0.1, forward_s=0.05, wait_s=0.001 * n,
        )
        for n in range(count)
    )  # fmt: skip
    return dataclasses.replace(state.fold(until(100)), ranks=ranks, **changes)


# ------------------------------------------------------------------------------- its size


MANY = dataclasses.replace(sight(until(100)), state=crew(64))
SIGHTS = {
    "nothing": sight([]),
    "started": sight(until(0)),
    "begun": sight(until(1)),
    "lost": sight(until(131)),
    "finished": sight(list(records(SCRIPT))),
    "many": MANY,
    "log": dataclasses.replace(MANY, log=ANSI_LOG * 30, look=Look(rank=3, log=True)),
    "hint": sight([], hint="reading the record of " + "a long name " * 20),
}


@pytest.mark.parametrize("marks", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("name", SIGHTS)
def test_it_fills_every_window_and_no_line_is_wider(name: str, marks: Marks) -> None:
    for width, height in itertools.product((20, 40, 69, 70, 80, 120, 200), (3, 8, 12, 24, 60)):
        shown = screen(SIGHTS[name], Canvas(width, marks, height))
        assert len(shown) == height, (width, height)
        assert max(line.cell_len for line in shown) < width, (width, height)
        assert not any("\n" in line.plain for line in shown)
        if marks is ASCII:
            assert "".join(line.plain for line in shown).isascii()


def test_at_80_by_24_everything_has_its_place() -> None:
    shown = lines(sight(until(200)))
    for label in ("demo  training", "step ", "loss ", "valid ", "speed ", "rank ", "   0", "   2"):
        assert any(line.startswith(label) for line in shown), label
    for title in ("loss (o: validation)", "samples/s", "ranks", "machines", "events"):
        assert any(f"── {title} ──" in line for line in shown), title
    assert shown[-1].startswith("q leaves, the run goes on")


def test_in_the_smallest_window_ranks_and_the_last_event_stay() -> None:
    shown = lines(sight(until(131)), 40, 12)
    assert sum(line.split()[:1] in (["0"], ["1"], ["2"]) for line in shown) == 2
    assert any("events" in line for line in shown)
    assert "ranks 0-1 go on after" in shown[-2]
    assert not any("samples/s ──" in line for line in shown)


def test_a_higher_window_shows_more_of_everything() -> None:
    def blocks(height: int) -> dict[str, int]:
        shown = lines(sight(list(records(SCRIPT))), 120, height)
        at = {t: next(i for i, s in enumerate(shown) if f" {t} ─" in s) for t in TITLES}
        ends = [*sorted(at.values())[1:], height - 1]
        return dict(
            zip(TITLES, (e - at[t] for t, e in zip(TITLES, ends, strict=True)), strict=True)
        )

    low, high = blocks(24), blocks(60)
    assert all(high[title] > low[title] for title in TITLES)
    assert high["ranks"] == 7  # its rule, headings, three ranks, their colours, all together


TITLES = ("loss (o: validation)", "ranks", "machines", "events")


def test_room_goes_to_the_most_important_first() -> None:
    assert heights(10, [(3, 5), (2, 9), (7, 9)]) == [5, 5, 0]
    assert heights(14, [(3, 5), (2, 9), (7, 9)]) == [5, 2, 7]
    assert heights(2, [(3, 5), (2, 9)]) == [0, 2]
    assert heights(9, [(0, 0), (2, 4)]) == [0, 4]


def test_curves_are_drawn_once() -> None:
    large, small = lines(sight(until(200))), lines(sight(until(200)), 80, 12)
    row = UNICODE.spark[0] * 3
    assert not any(row in line for line in large if line.startswith("loss "))
    assert any(row in line for line in small if line.startswith("loss "))


# ---------------------------------------------------------------------------------- ranks


def test_keys_move_from_rank_to_rank_and_not_beyond() -> None:
    now, look = crew(30), Look()
    assert chosen(look, now) == 0
    for key, rank in [
        ("up", 0), ("down", 1), ("j", 2), ("k", 1), ("page down", 11), ("end", 29), ("j", 29),
        ("page up", 19), ("home", 0), ("x", 0), ("", 0),
    ]:  # fmt: skip
        look = pressed(look, key, now)
        assert chosen(look, now) == rank, key


def test_the_order_changes_and_the_chosen_rank_stays() -> None:
    now, look = crew(8), Look(rank=3)
    seen = []
    for _ in ORDERS:
        seen.append(look.order)
        look = pressed(look, "s", now)
        assert chosen(look, now) == 3
    assert seen == list(ORDERS)
    assert look.order == seen[0]


@pytest.mark.parametrize(
    ("order", "first"),
    [("by number", 0), ("trouble first", 1), ("slowest first", 7), ("longest wait first", 7)],
)
def test_every_order_has_its_first(order: str, first: int) -> None:
    assert chosen(Look(order=order), crew(8)) == first


def test_a_rank_that_is_gone_leaves_its_place_to_the_first() -> None:
    assert chosen(Look(rank=40), crew(8)) == 0
    assert chosen(Look(rank=40), RunState()) is None
    assert pressed(Look(), "j", RunState()) == Look()


def test_the_chosen_rank_is_in_sight_wherever_it_is() -> None:
    for rank in (0, 1, 31, 62, 63):
        shown = screen(dataclasses.replace(MANY, look=Look(rank=rank)), Canvas(80, UNICODE, 30))
        [pointed] = [line for line in shown if any(s.style == "reverse" for s in line.spans)]
        assert pointed.plain.split()[0] == str(rank)
    assert any("by number, 1 to " in line and " of 64 " in line + " " for line in lines(MANY))


def test_columns_give_way_by_their_worth() -> None:
    told = until(100)
    busy = [
        Record(dataclasses.replace(r.event, cpu_share=0.5, temperature_c=61.4), r.time, "s", n)
        for n, r in enumerate(told)
        if isinstance(r.event, events.RankTimed)
    ]
    seen = sight([*told, *busy])

    def heads(width: int) -> str:
        ranks = seen.state.ranks
        [head, *rows], _ = rank_lines(ranks, seen.state, seen.trails, width, UNICODE)
        assert max(row.cell_len for row in rows) <= width
        return head.plain

    assert heads(36).split()[:2] == ["rank", "state"]
    assert "temp" not in heads(80)
    everything = "rank device state share own speed lately memory cpu temp where its time goes"
    assert " ".join(heads(140).split()) == everything
    shown = "\n".join(lines(seen, 140))
    assert "50 %  61 °C" in shown
    assert "61 C" in "\n".join(lines(seen, 140, marks=ASCII))


def test_why_a_rank_does_nothing_stands_in_place_of_its_time() -> None:
    shown = lines(sight(until(130)), 120)
    [row] = [line for line in shown if line.startswith("   2") and "lost" in line]
    assert row.rstrip().endswith("killed by signal 9")


# ------------------------------------------------------------------------------- machines


def machine(**load: Any) -> MachineView:
    gpu = GpuView("GPU-1", "NVIDIA H100 80GB HBM3", 0.97, 6.1e10, 8.5e10, 66.0, 512.4, 700.0)
    return MachineView("a00", "desk", load=LoadView(0.0, gpus=(gpu,), **load))


def test_a_machine_shows_its_load_and_its_gpus_below_it() -> None:
    loaded = machine(
        cpu_share=0.834, memory_bytes=9_200_000_000, memory_limit_bytes=16_000_000_000,
        sent_bytes_per_s=48_000.0, temperature_c=71.5, dropped=12,
    )  # fmt: skip
    rows = [line.plain for line in machine_lines([loaded], 140, UNICODE)]
    assert [" ".join(row.split()) for row in rows] == [
        "machine busy memory of temp power sent dropped",
        "desk 83 % 9.2 GB 16.0 GB 72 °C 48.0 kB/s 12",
        "NVIDIA H100 80GB HBM3 97 % 61.0 GB 85.0 GB 66 °C 512/700 W",
    ]
    assert rows[2].startswith("  NVIDIA")


def test_what_a_system_does_not_say_is_left_open() -> None:
    loads = [machine(), MachineView("a01", "shelf", memory_bytes=8_000_000_000), MachineView("a02")]
    rows = [line.plain for line in machine_lines(loads, 140, UNICODE)]
    assert rows[1].split() == ["desk"]
    assert rows[3].split() == ["shelf", "8.0", "GB"]
    assert rows[4].split() == ["a02"]
    assert machine_lines([], 80, UNICODE) == []


@pytest.mark.parametrize("width", [20, 39, 60, 79, 119])
def test_machines_fit(width: int) -> None:
    wide = MachineView("a" * 300, "Größenwahn-" * 9, load=machine(cpu_share=1.0, dropped=3).load)
    rows = machine_lines([wide, machine(cpu_share=0.5)], width, UNICODE)
    assert "machine" in rows[0].plain
    assert width < 39 or max(row.cell_len for row in rows) <= width


# ------------------------------------------------------------------------------- the log


def test_the_log_of_the_chosen_rank_takes_the_place_of_events() -> None:
    look = pressed(Look(rank=2), "l", crew(8))
    shown = lines(dataclasses.replace(MANY, look=look, log=ANSI_LOG), 80, 40)
    at = next(number for number, line in enumerate(shown) if "log of rank 2" in line)
    assert shown[at + 1 : at + 4] == ["epoch 1 done", "gone?31m", "last"]
    assert not any(" events ─" in line for line in shown)
    assert shown[-1].endswith("l events")
    assert pressed(look, "l", crew(8)) == Look(rank=2)


def test_an_empty_log_says_so_and_a_long_one_shows_its_end() -> None:
    look = Look(rank=2, log=True)
    assert "nothing was written yet" in lines(dataclasses.replace(MANY, look=look))[-2]
    numbered = [f"line {n}" for n in range(1000)]
    assert "line 999" in lines(dataclasses.replace(MANY, look=look, log=numbered))[-2]


def test_nothing_in_a_log_steers_the_terminal() -> None:
    nasty = "".join(map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0)])) + "\x1b[1;31mred\x1b(0"
    assert readable(nasty).isprintable()
    assert len(readable("x" * 10**6)) <= 1000
