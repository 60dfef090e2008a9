"""What stands in a rank's environment besides what was there: each variable with its reason.

The same list is shown before a run starts and given to its ranks. What [env] says wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

THREADS = "OMP_NUM_THREADS"
# `evener run --debug`: torch and its libraries say what they do.
DEBUG = {
    "NCCL_DEBUG": "INFO",
    "TORCH_CPP_LOG_LEVEL": "INFO",
    "TORCH_DISTRIBUTED_DEBUG": "DETAIL",
    "TORCH_NCCL_DESYNC_DEBUG": "1",
    "TORCH_NCCL_DUMP_ON_TIMEOUT": "1",
    "TORCH_SHOW_CPP_STACKTRACES": "1",
    "PYTHONFAULTHANDLER": "1",
}
_FACING = "where code of yours opens a group itself: the interface that faces the head"


@dataclass(frozen=True, slots=True)
class Variable:
    """`firm`: it also wins over what the person's shell says; [env] wins over it."""

    name: str
    value: str
    why: str
    firm: bool = False


def of_rank(threads: int, interface: str | None) -> tuple[Variable, ...]:
    """Those that evener sets itself. Threads that spin while they wait for each other make a rank
    25 times slower as soon as it shares a core (benchmarks: 1055 against 89 ms a step, for 2 ms
    when idle).
    """
    found = [
        Variable("CUDA_DEVICE_ORDER", "PCI_BUS_ID", "GPUs are numbered as nvidia-smi does"),
        Variable("PYTHONUNBUFFERED", "1", "logs show what was printed last, whatever happens"),
        Variable(THREADS, str(threads), "the plan's threads", firm=True),
        Variable("MKL_NUM_THREADS", str(threads), "the plan's threads", firm=True),
    ]
    if threads > 1:
        why = "threads that spin while they wait make each other slow on a shared core"
        found.append(Variable("GOMP_SPINCOUNT", "1000", why))
    if interface is not None:
        found.append(Variable("GLOO_SOCKET_IFNAME", interface, _FACING, firm=True))
        found.append(Variable("NCCL_SOCKET_IFNAME", f"={interface}", _FACING, firm=True))
    return tuple(found)


def merged(
    inherited: Mapping[str, str], own: tuple[Variable, ...], told: Mapping[str, str]
) -> dict[str, str]:
    """A rank's environment: `told` is [env], `inherited` what the shell or the image holds."""
    env = {v.name: v.value for v in own if not v.firm} | dict(inherited)
    env |= {v.name: v.value for v in own if v.firm} | dict(told)
    if "OMP_WAIT_POLICY" in env and "GOMP_SPINCOUNT" not in {**inherited, **told}:
        env.pop("GOMP_SPINCOUNT", None)  # the person has chosen how threads wait
    return env
