"""What every benchmark shares: arguments, equal conditions, spread, verdicts and the record.

A benchmark measures two sides under the same conditions (one thread a process, turns taken in
alternating order, so that a machine that slows down slows both) and holds the figure against a
target. It prints one verdict a case; a full run writes benchmarks/results/NAME.json, the hardware
with it. Exit status: 0 all targets met, 1 a figure falls short, 2 the benchmark did not work.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DATA = ROOT.parent / "shared" / "data"
FORMAT_VERSION = 1
BUSY, LOOK_S = 0.1, 1.0  # a tenth of the processors at work for others, seen over a second
# One thread a process, on both sides: spinning OpenMP threads measure the scheduler, not the code.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
T = TypeVar("T")


class MeasureError(Exception):
    """A side failed or the data is not there: there is no figure, so there is no verdict."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a person called the benchmark."""

    quick: bool = False
    as_json: bool = False
    data: Path = DATA
    only: tuple[str, ...] = ()  # cases, where not all are asked for

    def wants(self, case: str) -> bool:
        return not self.only or case in self.only


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    p10: float
    p90: float
    count: int


@dataclass(frozen=True, slots=True)
class Case:
    """One figure against its target. `sides` and `notes` say where the figure comes from."""

    name: str
    figure: float
    target: float
    unit: str = ""
    at_most: bool = True  # False: at least
    sides: Mapping[str, Spread] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.figure <= self.target if self.at_most else self.figure >= self.target


Measure = Callable[[Settings], Iterable[Case]]


def main(
    name: str,
    measure: Measure,
    about: str,
    argv: Sequence[str] | None = None,
    results: Path = RESULTS,
    busy: Callable[[], float | None] | None = None,
) -> int:
    """Run one benchmark as its script was called. Returns the exit status.

    `busy` is given where the clock matters: it says how much of the machine others use, and then
    a full run is not made, and a quick one tells it beside its figures.
    """
    settings = _arguments(name, about, argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it has started ends with it
    cases: list[Case] = []
    try:
        if busy is not None:
            _look_around(name, busy(), settings)
        for case in measure(settings):
            if settings.wants(case.name):
                cases.append(case)
                if not settings.as_json:
                    print(verdict(name, case), flush=True)
        if unknown := {*settings.only} - {case.name for case in cases}:
            raise MeasureError(f"there is no case {' or '.join(sorted(unknown))}")
    except MeasureError as reason:
        print(f"{name}: not measured: {reason}", file=sys.stderr)
        return 2
    record = report(name, cases, settings)
    if settings.as_json:
        print(json.dumps(record, indent=2))
    if not settings.quick:
        write(results / f"{name}.json", record, keep_others=bool(settings.only))
    return 0 if all(case.ok for case in cases) else 1


def _look_around(name: str, share: float | None, settings: Settings) -> None:
    if share is None or share <= BUSY:
        return
    told = f"others use {share:.0%} of this machine: times measured now are no evidence"
    if not settings.quick:
        raise MeasureError(f"{told}; wait for quiet, or take a --quick look")
    print(f"{name}: {told}", file=sys.stderr)


def _arguments(name: str, about: str, argv: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog=f"benchmarks/{name}.py", description=about)
    parser.add_argument("--quick", action="store_true", help="under three minutes; keeps no record")
    parser.add_argument("--json", action="store_true", help="print the whole record as JSON")
    parser.add_argument(
        "--only", action="append", default=[], metavar="CASE",
        help="measure this case; the others of the record stay, where they are of this machine",
    )  # fmt: skip
    parser.add_argument("--data", type=Path, default=DATA, help="where real data sets lie")
    given = parser.parse_args(argv)
    return Settings(given.quick, given.json, given.data, tuple(given.only))


# ------------------------------------------------------------------------------- figures


def spread(values: Sequence[float]) -> Spread:
    """Median, and the tenth and ninetieth percentile, of at least one value."""
    if not values:
        raise MeasureError("a side gave no measurement at all")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    cuts = statistics.quantiles(values, n=10, method="inclusive")
    return Spread(statistics.median(values), cuts[0], cuts[-1], len(values))


def interleave(sides: Mapping[str, Callable[[], T]], repetitions: int) -> dict[str, list[T]]:
    """Each side `repetitions` times, in turns; every second round runs backwards."""
    taken: dict[str, list[T]] = {side: [] for side in sides}
    for turn in range(repetitions):
        order = list(sides)[:: 1 if turn % 2 == 0 else -1]
        for side in order:
            taken[side].append(sides[side]())
    return taken


def ratios(taken: Mapping[str, Sequence[float]], side: str, yardstick: str) -> Spread:
    """`side` over `yardstick`, round by round: what slows a whole round down cancels."""
    return spread([a / b for a, b in zip(taken[side], taken[yardstick], strict=True)])


def verdict(name: str, case: Case) -> str:
    """`overhead/gpt-1: 1.01x (target 1.03x): ok`, and the two sides after it."""
    unit = case.unit if case.unit in ("", "x") else f" {case.unit}"
    word = "ok" if case.ok else "short"
    line = f"{name}/{case.name}: {case.figure:.4g}{unit} (target {case.target:.4g}{unit}): {word}"
    sides = [f"{k} {v.median:.4g} [{v.p10:.4g}..{v.p90:.4g}]" for k, v in case.sides.items()]
    return "   ".join([line, *sides])


# -------------------------------------------------------------------------------- record


def report(name: str, cases: Sequence[Case], settings: Settings) -> dict[str, Any]:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "v": FORMAT_VERSION,
        "benchmark": name,
        "quick": settings.quick,
        "when": when,
        "hardware": hardware(),
        "cases": [{**asdict(case), "ok": case.ok, "when": when} for case in cases],
    }


def write(path: Path, record: Mapping[str, Any], *, keep_others: bool = False) -> None:
    """`keep_others`: cases of the record that is there stay, each with when and where it was
    measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if keep_others and path.is_file():
        before = json.loads(path.read_text())
        where = {"when": before["when"], "hardware": before["hardware"]}
        kept = [where | case for case in before["cases"]]
        cases = {case["name"]: case for case in (*kept, *record["cases"])}
        record = {**record, "cases": list(cases.values())}
    path.write_text(json.dumps(record, indent=2) + "\n")


def hardware() -> dict[str, Any]:
    """What a reader must know to compare: no names, no addresses."""
    return {
        "processor": _first_line("/proc/cpuinfo", "model name") or platform.processor(),
        "cpus": _usable_cpus(),
        "memory": _first_line("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": _torch_version(),
    }


def _first_line(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _torch_version() -> str:
    from importlib import metadata

    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""


def busy_share() -> float | None:
    """Which part of the processors is at work now, while nothing of ours is; None if unknown."""
    before = _processor_times()
    time.sleep(LOOK_S)
    after = _processor_times()
    if before is None or after is None or after[1] == before[1]:
        return None
    return 1 - (after[0] - before[0]) / (after[1] - before[1])


def _processor_times() -> tuple[int, int] | None:
    """Ticks idle (waiting for a disk included) and ticks in all, on a system with /proc."""
    try:
        ticks = [int(t) for t in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return ticks[3] + ticks[4], sum(ticks)


# ------------------------------------------------------------------------------ processes


def environment() -> dict[str, str]:
    """What both sides' processes get: ours, one thread each."""
    return {**os.environ, **ONE_THREAD}


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    limit_s: float = 900,
    accepted: Sequence[int] = (0,),
) -> str:
    """A side's standard output; its failure is told with the end of what it said."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=limit_s
        )
    except subprocess.TimeoutExpired as error:
        raise MeasureError(f"{_show(command)} took more than {limit_s:.0f} s") from error
    if done.returncode not in accepted:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise MeasureError(f"{_show(command)} ended with {done.returncode}:\n{tail}")
    return done.stdout


def last_json(output: str) -> Any:
    """The last line of `output` that is a JSON object; torchrun mixes its own words in."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise MeasureError("a side printed no JSON")


def _show(command: Sequence[str | Path]) -> str:
    return " ".join(Path(part).name if i == 0 else str(part) for i, part in enumerate(command))
