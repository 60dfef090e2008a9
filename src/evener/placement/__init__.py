"""Which ranks run where, on what and with how many threads: a job and machines in, a Plan out.

Decides only: no I/O, nothing is started. Every choice carries its reason in words, because a
person who sees one thread per rank must not have to guess why.
"""

from evener.placement.contained import Hindrance, plan_containers
from evener.placement.expected import expected
from evener.placement.forecast import Forecast, forecast
from evener.placement.local import plan
from evener.placement.plan import (
    BENCH,
    DOCKER,
    LOCAL,
    POOL,
    SWARM,
    TRAIN,
    AgentPlan,
    Limits,
    Plan,
    RankPlan,
    from_dict,
    to_dict,
)  # fmt: skip
from evener.placement.pool import Joined, plan_pool, with_newcomers
from evener.placement.swarm import Place, plan_swarm, with_joined

__all__ = [
    "BENCH",
    "DOCKER",
    "LOCAL",
    "POOL",
    "SWARM",
    "TRAIN",
    "AgentPlan",
    "Forecast",
    "Hindrance",
    "Joined",
    "Limits",
    "Place",
    "Plan",
    "RankPlan",
    "expected",
    "forecast",
    "from_dict",
    "plan",
    "plan_containers",
    "plan_pool",
    "plan_swarm",
    "to_dict",
    "with_joined",
    "with_newcomers",
]
