"""The environment of a rank: what must be said before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evener import contract, variables
from evener.contract import AgentEnv, RankEnv
from evener.placement import RankPlan
from evener.probe import interface_of
from evener.wire.frames import split_address


def environment_of_ranks(
    env: AgentEnv, address: str, ranks: Sequence[RankPlan], told: Mapping[str, str]
) -> Mapping[str, str]:
    """Of all ranks of the agent that answers at `address`; `told` is what the job says."""
    rank = RankEnv(env.run_dir, env.secret, env.agent, address)
    threads = max(r.threads for r in ranks)
    interface = interface_of(split_address(address)[0])
    return rank_environment(contract.inherited_environ(), rank, threads, interface, told)


def rank_environment(
    inherited: Mapping[str, str],
    told: RankEnv,
    threads: int,
    interface: str | None,
    env: Mapping[str, str],
) -> dict[str, str]:
    """`inherited` is what a person set in the shell, `env` what the job says, which wins."""
    own = variables.of_rank(threads, interface)
    return variables.merged(inherited, own, env) | contract.to_environ(told)
