"""`evener top` on a terminal: it shows, it listens, and it gives the terminal back as it was."""

from __future__ import annotations

import io
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from evener import state
from evener.cli import main
from evener.cli.attach import Interrupts
from evener.cli.top import EVERY_S, Full, tail
from evener.rundir.layout import RunDir
from evener.watch import Glance
from tests.synthetic_run import Script, records, run_with

LONG_S = 60.0
# The terminal becomes the program's own, as in a shell: then what is typed can be a signal.
START = (
    "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR));"
    "os.execv(sys.executable, [sys.executable, '-m', 'evener', *sys.argv[1:]])"
)
OWN = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM")  # what would change the picture
ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A pseudo-terminal of its own, with evener on it."""

    def __init__(self, folder: Path, *args: str, term: str = "xterm-256color") -> None:
        self.termios = pytest.importorskip("termios", reason="pseudo-terminals are of POSIX")
        self.fcntl = pytest.importorskip("fcntl", reason="pseudo-terminals are of POSIX")
        self.person, self.program = os.openpty()
        self.resize(80, 24)
        self.before = self.termios.tcgetattr(self.program)
        self.seen = ""
        environ = {k: v for k, v in os.environ.items() if k not in OWN}
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, *args],
            stdin=self.program,
            stdout=self.program,
            stderr=self.program,
            cwd=folder,
            env={**environ, "TERM": term, "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *reason: object) -> None:
        self.process.kill()
        self.process.wait(LONG_S)
        os.close(self.person)
        os.close(self.program)

    def resize(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        self.fcntl.ioctl(self.program, self.termios.TIOCSWINSZ, size)

    def type(self, keys: bytes) -> None:
        os.write(self.person, keys)

    def until(self, text: str) -> str:
        """What was drawn until `text` was."""
        deadline = time.monotonic() + LONG_S
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen[-3000:]
            assert self.process.poll() is None or self._read(), self.seen[-3000:]
            self._read()
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def end(self) -> tuple[int, str]:
        """The exit status, and the last that was drawn."""
        deadline = time.monotonic() + LONG_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.seen[-3000:]
            self._read()
        while self._read():
            pass
        return self.process.returncode, self.seen

    def _read(self) -> bool:
        if not select.select([self.person], [], [], 0.05)[0]:
            return False
        self.seen += os.read(self.person, 1 << 16).decode(errors="replace")
        return True


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return run_with(tmp_path / "experiments", list(records(Script(steps=40))), "demo")


@pytest.fixture
def terminal(tmp_path: Path, run: RunDir) -> Iterator[Terminal]:
    run.rank_log(0).write_text("rank zero \x1b[2Jwas here\n")
    run.rank_log(1).write_text("rank one too\n")
    with Terminal(tmp_path, "top", "demo") as terminal:
        yield terminal


def check_is_as_before(terminal: Terminal, said: str) -> None:
    assert terminal.termios.tcgetattr(terminal.program) == terminal.before
    assert said.count(LEFT) == 1
    assert said.rindex(SHOWN) > said.rfind(HIDDEN)
    assert "Traceback" not in said


def test_q_leaves_a_finished_run_and_the_terminal_is_as_before(terminal: Terminal) -> None:
    drawn = terminal.until("finished")
    assert drawn.count(ENTERED) == 1
    drawn += terminal.until("q leaves")
    terminal.type(b"xq")
    status, said = terminal.end()
    assert status == 0
    check_is_as_before(terminal, said)


@pytest.mark.parametrize("how", ["typed", "SIGINT", "SIGTERM"])
def test_so_do_ctrl_c_and_whoever_ends_it(terminal: Terminal, how: str) -> None:
    terminal.until("q leaves")
    if how == "typed":
        terminal.type(b"\x03")
    else:
        terminal.process.send_signal(getattr(signal, how))
    status, said = terminal.end()
    assert status == 0
    check_is_as_before(terminal, said)


def test_keys_choose_what_is_shown(terminal: Terminal) -> None:
    terminal.until("l log of the rank")
    terminal.type(b"l")
    terminal.until("log of rank 0")
    shown = terminal.until("l events")
    assert "rank zero was here" in shown
    terminal.type(b"\x1b[B")
    assert "rank one too" in terminal.until("l events")
    terminal.type(b"s")
    terminal.until("s trouble first")
    terminal.type(b"q")
    assert terminal.end()[0] == 0


def test_a_resized_window_is_filled_anew(terminal: Terminal) -> None:
    terminal.until("finished")
    terminal.until("q leaves")
    terminal.resize(40, 12)
    terminal.until("\x1b[H")
    picture = terminal.until("q leaves")
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", picture).split("\n")
    assert len(lines) == 12
    assert max(len(line.rstrip("\r")) for line in lines) <= 40
    terminal.type(b"q")
    assert terminal.end()[0] == 0


def test_of_a_failed_run_the_error_stays_on_the_screen(tmp_path: Path) -> None:
    error = {"code": "E605", "what": "rank 1 ran out of memory", "where": "desk", "fix": "less"}
    told = list(records(Script(steps=10, outcome="failed", error=error)))
    run_with(tmp_path / "experiments", told, "demo")
    with Terminal(tmp_path, "top", "demo") as terminal:
        terminal.until("failed")
        terminal.type(b"q")
        status, said = terminal.end()
    assert status == 0
    assert "ran out of memory" in said.partition(LEFT)[2]


def test_a_terminal_that_cannot_be_drawn_on_is_told_what_can_be_read(
    tmp_path: Path, run: RunDir
) -> None:
    with Terminal(tmp_path, "top", "demo", term="dumb") as terminal:
        status, said = terminal.end()
    assert status == 2
    assert "evener status -f" in said
    assert ENTERED not in said


def test_without_a_terminal_it_says_what_to_do_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["top"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error E107: ")
    assert "`evener status -f`" in said.err


# -------------------------------------------------------------------------- without a pty


class Desk:
    """A clock and keys: time passes only while somebody waits for a key."""

    def __init__(self, *keys: str) -> None:
        self.now = 100.0
        self.keys = deque(keys)

    def clock(self) -> float:
        return self.now

    def read(self, timeout_s: float) -> str:
        if self.keys:
            return self.keys.popleft()
        self.now += timeout_s
        return ""


def full(run: RunDir, desk: Desk) -> tuple[Full, io.StringIO]:
    stream = io.StringIO()
    console = Console(
        file=stream, width=80, height=24, force_terminal=True, force_interactive=True,
        color_system="standard", markup=False, highlight=False, emoji=False,
    )  # fmt: skip
    return Full(run, console, desk, Interrupts(), clock=desk.clock), stream


def glance(count: int) -> Glance:
    told = tuple(records(Script(steps=40)))[:count]
    return Glance(state.fold(told), told)


def test_what_changes_is_drawn_and_not_more_than_five_times_a_second(run: RunDir) -> None:
    desk = Desk()
    view, stream = full(run, desk)
    with view:
        assert "reading the record of demo" in stream.getvalue()
        for count in range(20, 60):
            view.show(glance(count))
        assert stream.getvalue().count("q leaves") == 1
        view.pause(EVERY_S)
        view.pause(EVERY_S)
        assert stream.getvalue().count("q leaves") == 2
        assert "training" in stream.getvalue()
        for _ in range(3):
            stream.truncate(stream.seek(0))
            view.pause(EVERY_S)
        assert stream.getvalue() == ""


def test_who_leaves_leaves_at_once(run: RunDir) -> None:
    desk = Desk("s", "q", "l")
    view, _ = full(run, desk)
    with view:
        view.show(glance(60))
        with pytest.raises(KeyboardInterrupt):
            view.pause(1000.0)
    assert desk.now == 100.0
    assert list(desk.keys) == ["l"]


def test_the_end_of_a_log_is_read_and_no_more(tmp_path: Path) -> None:
    log = tmp_path / "rank_0.log"
    assert tail(log) == []
    log.write_bytes(b"\n".join(b"line %d" % n for n in range(1000)))
    assert len(tail(log)) == 1000
    assert tail(log, 50)[-1] == "line 999"
    assert 4 <= len(tail(log, 50)) <= 6
    assert all(re.fullmatch(r"line \d{3}", line) for line in tail(log, 50))
    log.write_bytes(b"caf\xe9\r\nprogress 1 %\rprogress 2 %\n")
    assert tail(log) == ["caf\N{REPLACEMENT CHARACTER}", "progress 1 %", "progress 2 %"]
