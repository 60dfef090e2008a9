"""The lab for other programs: `python -m tests.lab engine`, `... wheels`, `... swarm`.

`engine` prints the DOCKER_HOST of an engine, which lives until standard input ends; so it never
outlives the program that asked for it. What it has built stays for the next one. `wheels` prints a
folder of what goes into images. `swarm` prints the DOCKER_HOST of an engine, and waits for a line:
the two others are made with the images that this one has by then. It answers, as JSON, with the
DOCKER_HOSTs of all and the words that run a command in the network of each, the manager's first,
and then obeys lines on standard input (`kill N`, `start N`, `leave N`, `join N`) and answers each
with the time when it did so. `networks` prints, as JSON, the words that run a command in each
network (the head's, one beside it, two behind routers), and obeys `udp N passes|stops` and `rate
MBIT`.
Where something cannot be had, the reason comes on standard error.
"""

from __future__ import annotations

import json
import sys
import time

from tests.lab import engine, networks, swarm

DATA = engine.KEPT / "engine"


def main(wanted: str) -> int:
    try:
        if wanted == "wheels":
            _say(str(engine.wheels()))
            return 0
        if wanted == "swarm":
            _swarm()
            return 0
        if wanted == "networks":
            _networks()
            return 0
        with engine.engine(DATA) as host:
            _say(host)
            sys.stdin.read()
    except engine.NoLab as reason:
        sys.stderr.write(f"{reason}\n")
        return 2
    return 0


def _swarm() -> None:
    with engine.daemon(DATA) as manager:
        _say(manager.host)
        if not sys.stdin.readline():
            return
        with swarm.swarm(manager, others=2) as made:
            hosts, insides = zip(*((each.host, each.inside) for each in made.engines), strict=True)
            _say(json.dumps({"hosts": hosts, "insides": insides}))
            for line in sys.stdin:
                _say(str(_done(made, line.split())))


def _done(made: swarm.Swarm, words: list[str]) -> float:
    at = time.time()
    match words:
        case ["kill", number]:
            at = made.engines[int(number)].lose_power()
        case ["leave", number]:
            made.leave(int(number))
        case ["join", number]:
            made.join(int(number))
        case ["start", number]:
            made.engines[int(number)].start()
    return at


def _networks() -> None:
    with networks.networks(behind=2) as made:
        places = (made.head, made.stranger, *made.behind)
        _say(json.dumps([place.inside for place in places]))
        for line in sys.stdin:
            match line.split():
                case ["udp", number, how]:
                    made.udp(int(number), passes=how == "passes")
                case ["rate", mbit]:
                    made.limit(int(mbit))
            _say(str(time.time()))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
