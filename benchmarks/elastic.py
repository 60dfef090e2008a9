"""Three nodes of torchrun on this machine, one of which is lost: how long until a step again?"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import harness
import turns
from harness import MeasureError

NODES = 3
SCRIPT = Path(__file__).parent / "baselines" / "nodes.py"
START_S, LOST_S, TRAIN_S = 120.0, 150.0, 5.0
# What brings it down from most of a minute, with a store that outlives the nodes that share it.
TUNED = "last_call_timeout=1,keep_alive_interval=1,keep_alive_max_attempt=3,is_host={host}"


def lose_a_node(*, tuned: bool) -> float:
    """Seconds from the death of the last node, agent and rank, to the next step of the others."""
    with TemporaryDirectory(prefix="evener-torchrun-") as folder:
        outs = [Path(folder) / f"node{number}.txt" for number in range(NODES)]
        with _nodes(outs, tuned=tuned) as nodes:
            _first(outs, 0.0, NODES, START_S)
            time.sleep(TRAIN_S)
            rank = _steps(outs[-1])[-1]["pid"]
            at = time.time()
            nodes[-1].kill()
            os.kill(int(rank), signal.SIGKILL)
            return _first(outs[:-1], at, NODES - 1, LOST_S) - at


@contextlib.contextmanager
def _nodes(outs: list[Path], *, tuned: bool) -> Iterator[list[subprocess.Popen[bytes]]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with contextlib.ExitStack() as stack:
        nodes = []
        for number, out in enumerate(outs):
            file = stack.enter_context(out.open("wb"))
            node = subprocess.Popen(
                _command(port, number, tuned=tuned),
                env=harness.environment() | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "01"[tuned]},
                stdout=file,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.callback(node.wait)
            stack.callback(turns.signal_all, [node.pid], signal.SIGKILL)
            nodes.append(node)
            time.sleep(1.0)  # the first one hosts the store
        yield nodes


def _command(port: int, number: int, *, tuned: bool) -> list[str]:
    words = [
        sys.executable, "-m", "torch.distributed.run", f"--nnodes=1:{NODES}", "--nproc-per-node=1",
        "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=bench",
        "--max-restarts=100",
    ]  # fmt: skip
    if tuned:
        host = int(number == 0)
        words += ["--local-addr=127.0.0.1", f"--rdzv-conf={TUNED.format(host=host)}"]
    return [*words, str(SCRIPT)]


def _steps(out: Path) -> list[dict[str, float]]:
    lines = out.read_text(errors="replace").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]


def _first(outs: list[Path], since: float, ranks: int, limit_s: float) -> float:
    """When the first of these nodes did a step among so many ranks."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        steps = [step for out in outs for step in _steps(out)[-500:]]
        times = [s["time"] for s in steps if s["time"] > since and s["ranks"] == ranks]
        if times:
            return min(times)
        time.sleep(0.1)
    raise MeasureError(f"torchrun took no step among {ranks} ranks within {limit_s:.0f} s")
