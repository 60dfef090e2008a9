"""A long soak of the membership simulator: `python -m tests.membership [SEEDS [FROM]]`.

Every seed is a history, once without and once with ranks that are parked, and each of the two
once more where no minority waits. Which of them break a rule is printed; what becomes of it belongs
into `test_simulation.py`, with a name. `--minutes M` ends it by then, and says at which seed the
next one is to begin; `--processes N` is for a machine that has other things to do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence

from tests.membership.simulator import History

SEEDS = 1_000_000
BLOCK = 200
TOLD_BLOCKS = 25  # between two lines of how far it is


def main(argv: Sequence[str]) -> int:
    given, began, broken = _arguments(argv), time.monotonic(), 0
    first, last = given.first, given.first + given.seeds
    blocks = [(start, min(start + BLOCK, last)) for start in range(first, last, BLOCK)]
    next_seed = first
    with multiprocessing.Pool(given.processes) as pool:
        for number, found in enumerate(pool.imap(_broken, blocks), start=1):
            next_seed, broken = blocks[number - 1][1], broken + len(found)
            for line in found:
                print(line, flush=True)
            if number % TOLD_BLOCKS == 0:
                print(f"seeds {first} to {next_seed - 1}: {broken} broke a rule", flush=True)
            if given.minutes is not None and time.monotonic() - began > 60 * given.minutes:
                break
    took_s = time.monotonic() - began
    print(
        f"seeds {first} to {next_seed - 1}, four histories each, in {took_s:.0f} s: {broken} "
        f"broke a rule; the next one is {next_seed}"
    )
    return 1 if broken else 0


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.membership")
    parser.add_argument("seeds", type=int, nargs="?", default=SEEDS)
    parser.add_argument("first", type=int, nargs="?", default=0, metavar="from")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser.parse_args(argv)


def _broken(block: tuple[int, int]) -> list[str]:
    return [
        f"seed {seed}, parking {parking}, minority waits {waits}: {error!r}"
        for seed in range(*block)
        for parking in (False, True)
        for waits in (True, False)
        if (error := _error(seed, parking, waits)) is not None
    ]


def _error(seed: int, parking: bool, minority_waits: bool) -> BaseException | None:
    try:
        History(seed, parking=parking, minority_waits=minority_waits).run()
    except Exception as error:  # noqa: BLE001  (whatever it is, the seed shows it)
        return error
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
