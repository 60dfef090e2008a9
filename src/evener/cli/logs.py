"""`evener logs`: what the processes of a run wrote, of one rank or of all, once or as it comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from evener.cli import options, runs
from evener.errors import BadCommand
from evener.launch.places import launcher_of
from evener.rundir.layout import RunDir

app = options.verb_app()
POLL_S = 0.2
CHUNK_BYTES = 1 << 16


@app.command()
def logs(
    run: options.RunName = None,
    rank: Annotated[int | None, typer.Option("--rank", min=0, help="Of this rank only.")] = None,
    agent: Annotated[
        bool, typer.Option("--agent", help="Of the agents and the head, not of the ranks.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the run is over.")
    ] = False,
    root: options.Root = None,
) -> None:
    """Show what the ranks of a run wrote: print() and warnings of your code, and tracebacks."""
    if agent and rank is not None:
        raise BadCommand("--agent and --rank exclude each other", where="evener logs")
    found = runs.resolve(run, root)
    _check(found, rank)
    launcher = launcher_of(found)
    alive = (lambda: launcher.alive(found)) if follow else (lambda: False)
    prefixed = rank is None
    for name, line in read(lambda: _files(found, rank, agent), alive):
        sys.stdout.write(f"{_label(name)} | {line}\n" if prefixed else line + "\n")
        if follow:
            sys.stdout.flush()


def _check(run: RunDir, rank: int | None) -> None:
    there = sorted(_number(path) for path in run.logs.glob("rank_*.log"))
    if rank is not None and rank not in there:
        ranks = ", ".join(map(str, there)) or "none yet"
        raise BadCommand(
            f"{run.name} has no log of a rank {rank}",
            where=str(run.logs),
            fix=f"ranks with a log: {ranks}",
        )


def _files(run: RunDir, rank: int | None, agent: bool) -> list[Path]:
    if rank is not None:
        return [run.rank_log(rank)]
    if agent:
        return sorted(p for p in run.logs.glob("*.log") if not p.stem.startswith("rank_"))
    return sorted(run.logs.glob("rank_*.log"), key=_number)


def _number(path: Path) -> int:
    digits = path.stem.removeprefix("rank_")
    return int(digits) if digits.isdigit() else -1


def _label(name: str) -> str:
    return name.removesuffix(".log").replace("_", " ")


def read(
    files: Callable[[], list[Path]],
    alive: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, str]]:
    """(file name, line) of all there is, then of what comes while `alive`. A line is handed out
    when it is complete, or when nothing more can come."""
    tails: dict[Path, Tail] = {}
    while True:
        last_round = not alive()
        for path in files():
            tail = tails.setdefault(path, Tail(path))
            for line in tail.lines():
                yield path.name, line
        if last_round:
            break
        sleep(POLL_S)
    for path, tail in tails.items():
        if tail.rest:
            yield path.name, tail.rest.decode(errors="replace")


class Tail:
    """The place up to which a growing file was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.rest = b""

    def lines(self) -> Iterator[str]:
        """The complete lines since the last call; none while the file is missing."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self.offset)
            while chunk := file.read(CHUNK_BYTES):
                self.offset += len(chunk)
                *whole, self.rest = (self.rest + chunk).split(b"\n")
                for line in whole:
                    yield line.rstrip(b"\r").decode(errors="replace")
