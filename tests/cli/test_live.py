from __future__ import annotations

import io

from rich.console import Console

from evener import state
from evener.cli.live import HINT, Moving
from evener.watch import Glance
from tests.synthetic_run import Script, records


def terminal(width: int = 80, height: int = 24) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, height=height, force_terminal=True, force_interactive=True,
        color_system="standard", markup=False, highlight=False, emoji=False,
    )  # fmt: skip
    return console, stream


def glance(count: int | None = None) -> Glance:
    told = tuple(records(Script(steps=40)))[:count]
    return Glance(state.fold(told), told)


def test_the_picture_is_drawn_and_stays() -> None:
    console, stream = terminal()
    with Moving(console, clock=lambda: 0.0) as view:
        view.show(glance(60))
        assert "training" in stream.getvalue()
        assert HINT in stream.getvalue()
        stream.truncate(stream.seek(0))
        view.show(glance())
    assert "finished" in stream.getvalue()
    assert HINT not in stream.getvalue()


def test_what_did_not_change_is_not_drawn_again() -> None:
    console, stream = terminal()
    with Moving(console, clock=lambda: 0.0) as view:
        same = Glance(glance(60).state)
        view.show(same)
        drawn = len(stream.getvalue())
        view.show(same)
        assert len(stream.getvalue()) == drawn


def test_what_this_terminal_does_replaces_the_hint() -> None:
    console, stream = terminal()
    with Moving(console, clock=lambda: 0.0) as view:
        view.show(glance(60))
        stream.truncate(stream.seek(0))
        view.say("stopping with a checkpoint")
        assert "stopping with a checkpoint" in stream.getvalue()
        assert HINT not in stream.getvalue()


def test_the_cursor_is_given_back() -> None:
    console, stream = terminal()
    with Moving(console) as view:
        view.show(glance(60))
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
