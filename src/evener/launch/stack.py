"""The file by which `docker stack deploy` runs a job on a Swarm. Decides only.

The services are those that `launch.services` makes, but for the head: it is one of them here, on
any manager, with a volume for the run. What was decided it gets as Docker configs, which every
manager has; how the training goes it says in its log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evener import contract
from evener.launch import compose, services, yaml_text
from evener.launch.compose import Read
from evener.launch.containers import HEAD, RESTARTS, STOP_S, Container, Outside
from evener.launch.services import NOBODY, TMP_BYTES, Service
from evener.placement import Plan
from evener.rundir.layout import RunDir

STACK, IMAGE, SECRET = "stack.yaml", "image", "secret"
DECIDED = "/run/evener"  # where the head finds what was decided
CONFIGS = (contract.JOB_NAME, contract.PLAN_NAME)
CONFIG_BYTES = 500_000  # Docker takes no larger ones
# What another Swarm may say otherwise, in the shell of `docker stack deploy`.
FROM, PORT, MTU, NODE, HOME = (
    contract.PREFIX + name for name in ("IMAGE", "PORT", "MTU", "NODE", "HEAD_ON")
)
ANYWHERE = "node.role == manager"
_WHICH = "a machine, as `docker node ls` calls it"


@dataclass(frozen=True, slots=True)
class Stack:
    """What one file starts."""

    run: str
    image: str
    reads: tuple[Read, ...] = ()
    ships: tuple[Read, ...] = ()  # those that machines get from the head
    configs: tuple[str, ...] = CONFIGS  # the files of what was decided, a script's code among them


def inside(run: str) -> RunDir:
    """The run's folder as every container sees its own."""
    return RunDir(Path(f"{contract.IMAGE_RUNS}/{run}"))


def render(plan: Plan, stack: Stack) -> str:
    """The text of stack.yaml."""
    run, outside = inside(stack.run), Outside(stack.image, "", "")
    machines = list(services.services(plan, run, outside))
    told = yaml_text.shared([each.env for each in machines])
    blocks = [
        _heading(stack),
        _every(stack),
        _machine(machines[0], stack.reads),
        _deploy(),
        ["x-told: &told", *yaml_text.entries(told, 2)],
        ["services:", *_head(services.head_of(plan, run, outside), run, stack, plan.home)],
        *(_one(number, each, told) for number, each in enumerate(machines)),
        _around(stack, services.mtu(plan)),
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _heading(stack: Stack) -> list[str]:
    return [
        f"# Trains {stack.run} on the machines of a Docker Swarm. On a manager of it, once every",
        "# machine has the image or can get it (the README says how):",
        "#",
        f"#   docker stack deploy --with-registry-auth -c {STACK} NAME",
        f"#   docker service logs -f NAME_{HEAD}     # how it goes",
        "#   docker stack rm NAME                 # ends it; deployed again, it goes on",
        "",
        'version: "3.9"',
    ]


def _every(stack: Stack) -> list[str]:
    return [
        "x-every: &every",
        f'  image: "${{{FROM}:-{yaml_text.in_default(stack.image)}}}"',
        f'  user: "{NOBODY}"  # nobody: what is written is in volumes of their own',
        "  read_only: true",
        "  cap_drop: [ALL]",
        "  secrets: [evener]",
        f"  stop_signal: {contract.AWAY_SIGNAL}  # it may be back: an agent leaves at a boundary",
        f"  stop_grace_period: {STOP_S}s  # above the time that a last checkpoint takes",
    ]


def _machine(first: Service, reads: Sequence[Read]) -> list[str]:
    return [
        "# A machine: an agent and a rank, which find the others by their names.",
        "x-machine: &machine",
        "  <<: *every",
        f"  command: {yaml_text.command(first.module)}",
        "  volumes:",
        _tmpfs("/tmp", TMP_BYTES),
        "    # Loader workers pass batches through it.",
        _tmpfs("/dev/shm", first.shm_bytes),
        "    # Its copy of the run, which goes with it: what it writes it brings to the head.",
        f"    - {{type: volume, target: {contract.IMAGE_RUNS}}}",
        f"    - {{type: volume, target: {contract.IMAGE_CACHE}}}",
        *(line for read in reads for line in _data(read, "On every machine at the same path")),
    ]


def _data(read: Read, where: str) -> list[str]:
    target = yaml_text.in_default(read.target)
    if read.is_volume:
        return [
            f"    # A volume on every machine; one of another name: {read.variable}=...",
            f'    - "{compose.VOLUME}:{target}:ro"',
        ]
    source = f"${{{read.variable}:-{yaml_text.in_default(read.source)}}}"
    return [
        f"    # {where}; elsewhere: {read.variable}=...",
        f'    - "{source}:{target}:ro"',
    ]


def _deploy() -> list[str]:
    return [
        "x-deploy: &deploy",
        "  endpoint_mode: dnsrr  # a name is the container's own address: nothing stands between",
        "  # One that dies comes back, joins the others and takes the state from them.",
        f"  restart_policy: {{condition: on-failure, delay: 1s, max_attempts: {RESTARTS}, "
        "window: 10m}",
        "  update_config: {order: stop-first, failure_action: rollback}",
        "  rollback_config: {order: stop-first}",
    ]


def _head(head: Container, run: RunDir, stack: Stack, home: str) -> list[str]:
    module, folder = "evener.cli.keep", run.path.as_posix()
    held = f"node.id == {home}" if home else ANYWHERE
    return [
        "  # Keeps the record and the checkpoints; training does without it for a while. Another",
        "  # manager has an empty volume for it: there the record begins anew, and machines that",
        "  # train bring the newest checkpoint.",
        f"  {HEAD}:",
        "    <<: *every",
        f"    command: {yaml_text.command(module, folder)}",
        "    volumes:",
        f"      - run:{contract.IMAGE_RUNS}",
        "  " + _tmpfs("/tmp", TMP_BYTES),
        *(
            f"  {line}"
            for read in stack.ships
            for line in _data(read, "On this manager, which sends it")
        ),
        "    configs:",
        *(f"      - {{source: {_called(n)}, target: {DECIDED}/{n}}}" for n in stack.configs),
        "    # The run's page, at that manager's address, for who has its key.",
        f'    ports: [{{target: {head.published}, published: "${{{PORT}:-{head.published}}}", '
        "mode: host}]",
        "    environment:",
        *yaml_text.entries(head.env, 6),
        "    deploy:",
        "      <<: *deploy",
        f"      # Where its volume is. If that manager is lost for good: {HOME}='{ANYWHERE}'",
        f'      placement: {{constraints: ["${{{HOME}:-{held}}}"]}}',
    ]


def _one(number: int, machine: Service, told: Mapping[str, str]) -> list[str]:
    return [
        f"  {machine.alias}:",
        "    <<: *machine",
        f"    hostname: {machine.alias}",
        "    environment:",
        "      <<: *told",
        *yaml_text.entries(yaml_text.without(machine.env, told), 6),
        "    deploy:",
        "      <<: *deploy",
        f'      placement: {{constraints: ["{_held(number, machine.node)}"]}}',
        *(_reserved(*machine.gpus) if machine.gpus[1] else ()),
    ]


def _reserved(kind: str, count: int) -> list[str]:
    return [
        "      # As its engine advertises them (node-generic-resources); nobody else gets them.",
        "      # Docker before 25.0.3 stops such a task (moby 44378): there without the next line.",
        "      resources: {reservations: {generic_resources: [{discrete_resource_spec: "
        f'{{kind: "{kind}", value: {count}}}}}]}}}}',
    ]


def _held(number: int, node: str) -> str:
    """To its machine: by what the Swarm calls it, where that was known."""
    if node:
        return f"node.id == ${{{NODE}_{number}:-{node}}}"
    return f"node.hostname == ${{{NODE}_{number}:?{_WHICH}}}"


def _around(stack: Stack, mtu: int) -> list[str]:
    return [
        "networks:",
        "  default:",
        "    driver: overlay",
        "    # Less, where the path between machines takes less than 1500 bytes at once.",
        f'    driver_opts: {{{services.MTU_OPTION}: "${{{MTU}:-{mtu}}}"}}',
        "",
        "volumes:",
        "  run:",
        *compose.volumes(stack.reads),
        "",
        "configs:",
        *(f"  {_called(name)}: {{file: ./{name}}}" for name in stack.configs),
        "",
        "secrets:",
        "  evener:",
        f"    file: ./{SECRET}",
    ]


def _called(config: str) -> str:
    """By Docker."""
    return config.partition(".")[0]


def _tmpfs(target: str, size_bytes: int) -> str:
    return f"    - {{type: tmpfs, target: {target}, tmpfs: {{size: {size_bytes}}}}}"
