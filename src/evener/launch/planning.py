"""A plan for what an engine, or a Swarm, says it has; for an export also where none answers."""

from __future__ import annotations

import sys
from dataclasses import replace

from evener import errors, placement
from evener.cluster import Machine
from evener.config.schema import Job
from evener.docker import Engine, gpus
from evener.launch import swarm
from evener.placement import Place, Plan

_ALL_RUNTIMES = ("nvidia",)  # of an engine that nobody can ask


def for_engine(job: Job, machine: Machine) -> Plan:
    """On what the engine has, which may be less than this machine."""
    if sys.platform == "win32":
        raise errors.DockerFailed(
            "paths of Windows are none in a container",
            where="--on docker",
            fix="start evener inside WSL2: Docker Desktop serves it too; or use --on local",
        )
    facts = Engine().facts()
    machine = replace(machine, cpus=facts.cpus, memory_bytes=facts.memory_bytes)
    return placement.plan_containers(job, machine, gpus.hindrance(machine.devices, facts.runtimes))


def for_swarm(job: Job) -> Plan:
    return placement.plan_swarm(job, swarm.places(Engine()))


def for_compose(job: Job, machine: Machine) -> Plan:
    """As if the engine it will be on had what this one has: where none answers, none is needed."""
    try:
        return for_engine(job, machine)
    except (errors.DockerAway, errors.NotPermitted):
        hindrance = gpus.hindrance(machine.devices, _ALL_RUNTIMES)
        return placement.plan_containers(job, machine, hindrance)


def for_stack(job: Job, machine: Machine) -> Plan:
    """For the machines of the Swarm that this one manages; else for as many as were asked for, each
    as this one is."""
    try:
        places = swarm.places(Engine())
    except (errors.DockerAway, errors.DockerFailed, errors.NotPermitted) as error:
        if job.local.workers is None:
            raise errors.BadCommand(
                f"no Swarm says here which machines there are: {error.what}",
                where="evener export stack",
                fix="type it on a manager, or say how many machines there will be: --workers 3",
            ) from error
        places = [Place("", f"machine-{n}", machine.cpus) for n in range(job.local.workers)]
    return placement.plan_swarm(job, places)
