"""A long soak of the membership simulator: `python -m tests.membership [SEEDS [FROM]]`.

Every seed is a history, once without and once with ranks that are parked, and each of the two
once more where no minority waits. Which of them break a rule is printed; what becomes of it belongs
into `test_simulation.py`, with a name.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time

from tests.membership.simulator import History

SEEDS = 1_000_000
BLOCK = 200


def main(argv: list[str]) -> int:
    count = int(argv[0]) if argv else SEEDS
    first = int(argv[1]) if len(argv) > 1 else 0
    last, began, broken = first + count, time.monotonic(), list[str]()
    blocks = [(start, min(start + BLOCK, last)) for start in range(first, last, BLOCK)]
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for done, found in enumerate(pool.imap_unordered(_broken, blocks), start=1):
            for line in found:
                print(line, flush=True)
            broken += found
            if done % 100 == 0:
                print(f"{done * BLOCK} of {count} seeds, {len(broken)} broken", flush=True)
    print(
        f"{count} seeds four times in {time.monotonic() - began:.0f} s: {len(broken)} broken a rule"
    )
    return 1 if broken else 0


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
