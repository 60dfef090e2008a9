"""The services of a run on a Swarm, as the commands that create them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.placement.test_placement import job

from evener.launch import services
from evener.launch.containers import Mount, Outside, identity, network
from evener.placement import Place, plan_swarm
from evener.rundir.layout import RunDir

RUN = RunDir(Path("/runs/first"))
DATA = Mount("/data/text.txt", "/data/text.txt")
OUTSIDE = Outside("evener:123", "1000:1000", "/home/me/cache", (DATA,))
PLAN = plan_swarm(job(), [Place("id-oak", "oak", 4), Place("id-elm", "elm", 2)])


def test_an_agent_is_held_to_its_machine_with_a_disk_of_its_own() -> None:
    _, elm = services.services(PLAN, RUN, OUTSIDE)
    label = f"dev.evener.run={identity(RUN)}"
    assert list(services.service_command(elm, RUN, "evener:123")) == [
        "service", "create", "--detach", "--no-resolve-image", "--with-registry-auth",
        f"--name=evener-{identity(RUN)}-elm", "--hostname=elm", "--constraint=node.id==id-elm",
        f"--network=name={network(RUN)},alias=elm", "--endpoint-mode=dnsrr",
        f"--label={label}", f"--container-label={label}",
        "--container-label=dev.evener.role=agent a01",
        "--user=65534:65534", "--read-only", "--cap-drop=ALL",
        "--restart-condition=on-failure", "--restart-max-attempts=5", "--restart-window=10m",
        "--restart-delay=1s",
        "--stop-signal=SIGPWR", "--stop-grace-period=60s",
        f"--secret=source=evener-{identity(RUN)},target=evener",
        "--mount=type=tmpfs,target=/tmp,tmpfs-size=1073741824,tmpfs-mode=1777",
        "--mount=type=tmpfs,target=/dev/shm,tmpfs-size=1073741824,tmpfs-mode=1777",
        "--mount=type=volume,target=/var/lib/evener",
        "--mount=type=volume,target=/var/cache/evener",
        "--mount=type=bind,source=/data/text.txt,target=/data/text.txt,readonly",
        "--env=EVENER_AGENT=a01", "--env=EVENER_APART=1", "--env=EVENER_CACHE=/var/cache/evener",
        "--env=EVENER_EXPECTED_AGENTS=2", "--env=EVENER_FIRST_RANK=1",
        "--env=EVENER_HEAD=head:7070", "--env=EVENER_LISTEN=:7071",
        "--env=EVENER_PEERS=a00=oak:7071", "--env=EVENER_RANKS=1", "--env=EVENER_REVIVED=1",
        "--env=EVENER_RUN_DIR=/var/lib/evener/first",
        "--env=EVENER_SECRET_FILE=/run/secrets/evener",
        "evener:123", "python", "-P", "-m", "evener.agent",
    ]  # fmt: skip


def test_gpus_are_reserved_and_named_too() -> None:
    """Not every version of NVIDIA's toolkit heeds what Swarm has assigned."""
    ash = Place("id-ash", "ash", 16, gpu_kind="NVIDIA-GPU", gpus=("MIG-1", "MIG-2"))
    counted = Place("id-fir", "fir", 4, gpu_kind="gpu", gpus=("",))
    first, second = (
        services.service_command(each, RUN, "evener:123")
        for each in services.services(plan_swarm(job(), [ash, counted]), RUN, OUTSIDE)
    )
    assert "--generic-resource=NVIDIA-GPU=2" in first
    assert "--env=NVIDIA_VISIBLE_DEVICES=MIG-1,MIG-2" in first
    assert "--generic-resource=gpu=1" in second
    assert "--env=NVIDIA_VISIBLE_DEVICES=all" in second


def test_a_manager_that_stops_what_has_reserved_a_gpu_is_asked_for_no_reservation() -> None:
    ash = Place("id-ash", "ash", 16, gpu_kind="NVIDIA-GPU", gpus=("MIG-1", "MIG-2"))
    (own,) = services.services(plan_swarm(job(), [ash]), RUN, OUTSIDE, reserve=False)
    words = services.service_command(own, RUN, "evener:123")
    assert "--env=NVIDIA_VISIBLE_DEVICES=MIG-1,MIG-2" in words
    assert not any("generic-resource" in word for word in words)


def test_what_they_meet_in_and_know_each_other_by() -> None:
    assert services.network_command(RUN, services.mtu(replace(PLAN, packet_bytes=1420))) == (
        "network", "create", "--driver=overlay", "--attachable",
        "--opt=com.docker.network.driver.mtu=1370",
        f"--label=dev.evener.run={identity(RUN)}", network(RUN),
    )  # fmt: skip
    assert services.secret_command(RUN) == (
        "secret", "create", f"--label=dev.evener.run={identity(RUN)}",
        f"evener-{identity(RUN)}", "/runs/first/configs/secret",
    )  # fmt: skip


def test_the_head_has_the_folder_and_names_fit() -> None:
    head = services.head_of(PLAN, RUN, OUTSIDE)
    assert head.role == "head"
    assert head.published == 7070
    assert head.mounts[0].target == "/runs/first"
    long = RunDir(Path("/runs") / ("x" * 64))
    for each in services.services(PLAN, long, OUTSIDE):
        assert len(each.name) <= 63
