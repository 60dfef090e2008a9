"""The environment of a rank: what must be said before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evener import contract
from evener.contract import AgentEnv, RankEnv
from evener.placement import RankPlan
from evener.probe import interface_of
from evener.wire.frames import split_address


def environment_of_ranks(
    env: AgentEnv, address: str, ranks: Sequence[RankPlan]
) -> Mapping[str, str]:
    """Of all ranks of the agent that answers at `address`."""
    told = RankEnv(env.run_dir, env.secret, env.agent, address)
    threads = max(r.threads for r in ranks)
    interface = interface_of(split_address(address)[0])
    return rank_environment(contract.inherited_environ(), told, threads, interface)


def rank_environment(
    inherited: Mapping[str, str], told: RankEnv, threads: int, interface: str | None
) -> dict[str, str]:
    """`inherited` is what a person set; the plan's threads win over it, tuning does not.

    Threads that spin while they wait for each other make a rank 25 times slower as soon as it
    shares a core, hence GOMP_SPINCOUNT (benchmarks: 1055 against 89 ms a step, for 2 ms when
    idle). GPUs are numbered as nvidia-smi numbers them, because the plan is made from its list.
    """
    env = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "PYTHONUNBUFFERED": "1", **inherited}
    if threads > 1 and "OMP_WAIT_POLICY" not in env:
        env.setdefault("GOMP_SPINCOUNT", "1000")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        env[name] = str(threads)
    if interface is not None:
        env["GLOO_SOCKET_IFNAME"] = interface
    return env | contract.to_environ(told)
