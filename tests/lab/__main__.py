"""The lab for other programs: `python -m tests.lab engine`, `python -m tests.lab wheels`.

`engine` prints the DOCKER_HOST of an engine, which lives until standard input ends; so it never
outlives the program that asked for it. What it has built stays for the next one. `wheels` prints a
folder of what goes into images. Where that cannot be had, the reason comes on standard error.
"""

from __future__ import annotations

import sys

from tests.lab import engine

DATA = engine.KEPT / "engine"


def main(wanted: str) -> int:
    try:
        if wanted == "wheels":
            _say(str(engine.wheels()))
            return 0
        with engine.engine(DATA) as host:
            _say(host)
            sys.stdin.read()
    except engine.NoLab as reason:
        sys.stderr.write(f"{reason}\n")
        return 2
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
