"""Which files several ranks write at once, by what /proc says of processes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from evener.agent.team import Driven
from evener.agent.writers import LOOK_S, Writers
from evener.events import Alert

READS, WRITES, APPENDS = "0100000", "0100001", "0102001"


def rank(proc: Path, number: int, *held: tuple[Path, str]) -> Driven:
    for part in ("fd", "fdinfo"):
        (proc / str(number) / part).mkdir(parents=True)
    for fd, (path, flags) in enumerate(held):
        path.touch()
        (proc / str(number) / "fd" / str(fd)).symlink_to(path)
        (proc / str(number) / "fdinfo" / str(fd)).write_text(f"pos:\t0\nflags:\t{flags}\n")
    own = SimpleNamespace(plan=SimpleNamespace(rank=number), child=SimpleNamespace(pid=number))
    return cast("Driven", own)


def test_a_file_that_two_ranks_write_is_told_of_once(tmp_path: Path) -> None:
    proc, folder, told = tmp_path / "proc", tmp_path / "work", list[Any]()
    folder.mkdir()
    torn, log, data, other = (folder / n for n in ("torn.json", "log.txt", "data.bin", "mine.pt"))
    elsewhere, library = tmp_path / "elsewhere.pt", tmp_path / ".cache" / "index"
    library.parent.mkdir()
    common = (
        (torn, WRITES), (log, APPENDS), (data, READS), (elsewhere, WRITES), (library, WRITES),
    )  # fmt: skip
    team = [rank(proc, 0, *common, (other, WRITES)), rank(proc, 1, *common)]
    writers = Writers(folder, told.append, proc)
    for now in (0.0, LOOK_S, 2 * LOOK_S):
        writers.look(team, now)
    assert all(isinstance(alert, Alert) for alert in told)
    first, second = sorted(alert.text for alert in told)
    assert f"ranks 0, 1 write {elsewhere} at once" in first
    assert f"ranks 0, 1 write {torn} at once" in second
