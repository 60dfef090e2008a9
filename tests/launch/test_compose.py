"""The file for `docker compose`, held as it is, and what makes it differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.placement.test_placement import job, machine

from evener.launch import compose
from evener.launch.compose import Project, Read
from evener.placement import Plan, plan_containers

GOLDEN = Path(__file__).with_name("compose.yaml")
DATA = Read("EVENER_DATA", "/home/me/text.txt", "/evener/data/text.txt")
PROJECT = Project("evener-tiny-1a2b3c4d", "tiny", "evener:0123", (1000, 1000), (DATA,))


def text(plan: Plan, project: Project = PROJECT) -> str:
    return compose.render(plan, project)


def two(gpus: int = 0) -> Plan:
    return plan_containers(job(workers=2), machine(cpus=4, gpus=gpus))


def test_the_file() -> None:
    assert text(two()) == GOLDEN.read_text(encoding="utf-8")


def test_a_gpu_is_given_by_name_and_another_machine_names_its_own() -> None:
    shown = text(two(gpus=2))
    for number in range(2):
        assert f'device_ids: ["${{EVENER_GPU_{number}:-GPU-{number}}}"]' in shown
    assert "count:" not in shown


def test_what_machines_do_not_share_each_says_itself() -> None:
    first, second = two().agents
    assert first.limits is not None
    limits = replace(first.limits, cpus=0.5, capped=True, memory_bytes=2**30, cpu_affinity="1")
    shown = text(replace(two(), agents=(first, replace(second, limits=limits))))
    assert shown.count("cpu_shares: ") == 2
    memory = ("mem_limit: 1073741824", "memswap_limit: 1073741824")
    own = ("cpu_shares: 512", "cpu_period: 10000", "cpu_quota: 5000", *memory, 'cpuset: "1"')
    wanted = "".join(f"    {each}\n" for each in ("<<: *machine", *own))
    assert f"  machine-1:\n{wanted}" in shown
    assert shown.count("shm_size: ") == 1


def test_several_gpus_of_one_machine() -> None:
    first = two().agents[0]
    assert first.limits is not None
    agent = replace(first, limits=replace(first.limits, gpus=("GPU-a", "GPU-b")))
    shown = text(replace(two(), agents=(agent,)))
    assert 'device_ids: ["${EVENER_GPU_0:-GPU-a}", "${EVENER_GPU_0_1:-GPU-b}"]' in shown


def test_no_secret_no_open_port_and_no_variable_that_compose_would_fill_in() -> None:
    dollars = replace(DATA, source='/home/$USER/"a"', target="/evener/data/$a")
    shown = text(two(), replace(PROJECT, reads=(dollars,)))
    assert "EVENER_SECRET:" not in shown
    assert shown.count("ports:") == shown.count('ports: ["127.0.0.1::7070"]') == 1
    assert '"${EVENER_DATA:-/home/$$USER/\\"a\\"}"' in shown
    assert 'target: "/evener/data/$$a"' in shown


def test_data_may_be_in_a_volume() -> None:
    shown = text(two(), replace(PROJECT, reads=(replace(DATA, source="texts"),)))
    assert (
        "    - {type: volume, source: data, target: /evener/data/text.txt, read_only: true}"
        in shown
    )
    assert '\nvolumes:\n  data: {external: true, name: "${EVENER_DATA:-texts}"}\n' in shown


def test_a_project_has_a_name_that_compose_takes() -> None:
    assert compose.project_name("ResNet.18_a", "ff") == "evener-resnet-18_a-ff"
    assert compose.project_name("...", "ff") == "evener-run-ff"
