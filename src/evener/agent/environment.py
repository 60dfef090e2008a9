"""The environment of a rank: what must be said before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping

from evener import contract, variables
from evener.contract import RankEnv


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
