"""The containers of a run, as the commands that start them."""

from __future__ import annotations

from pathlib import Path

from tests.placement.test_placement import job, machine

from evener.config.machines import MachineWish
from evener.launch.containers import (
    Mount,
    Outside,
    cap,
    containers,
    identity,
    network,
    network_command,
    run_command,
    user_inside,
)  # fmt: skip
from evener.placement import plan_containers
from evener.rundir.layout import RunDir

RUN = RunDir(Path("/runs/first"))
DATA = Mount("/data/text.txt", "/data/text.txt")
OUTSIDE = Outside("evener:123", "1000:1000", "/home/me/cache", (DATA,))


def shown(number: int, workers: int) -> list[str]:
    plan = plan_containers(job(workers=workers), machine(cpus=4))
    return list(run_command(containers(plan, RUN, OUTSIDE)[number], RUN, OUTSIDE))


def test_the_head() -> None:
    name = network(RUN)
    assert shown(0, workers=2) == [
        "run", "--detach", f"--name={name}-head", "--hostname=head",
        f"--network={name}", "--network-alias=head",
        f"--label=dev.evener.run={identity(RUN)}", "--label=dev.evener.role=head",
        "--user=1000:1000", "--read-only", "--tmpfs=/tmp:exec", "--cap-drop=ALL",
        "--security-opt=no-new-privileges", "--restart=on-failure:5", "--stop-signal=SIGPWR",
        "--stop-timeout=60", "--publish=127.0.0.1::7070",
        "--mount=type=bind,source=/runs/first,target=/runs/first",
        "--mount=type=bind,source=/runs/first/configs/secret,target=/run/secrets/evener,readonly",
        "--env=EVENER_EXPECTED_AGENTS=2",
        "--env=EVENER_LISTEN=0.0.0.0:7070", "--env=EVENER_RUN_DIR=/runs/first",
        "--env=EVENER_SECRET_FILE=/run/secrets/evener",
        "evener:123", "python", "-P", "-m", "evener.head",
    ]  # fmt: skip


def test_an_agent_has_its_part_of_the_machine_and_finds_the_others_by_name() -> None:
    words = shown(2, workers=2)
    for word in (
        "--hostname=machine-1", "--cpu-shares=2048", "--shm-size=1073741824",
        "--mount=type=bind,source=/home/me/cache,target=/var/cache/evener",
        "--mount=type=bind,source=/data/text.txt,target=/data/text.txt,readonly",
        "--env=EVENER_AGENT=a01", "--env=EVENER_CACHE=/var/cache/evener",
        "--env=EVENER_HEAD=head:7070", "--env=EVENER_LISTEN=:7071",
        "--env=EVENER_PEERS=a00=machine-0:7071", "--env=EVENER_FIRST_RANK=1",
    ):  # fmt: skip
        assert word in words
    assert not any(word.startswith("--publish") for word in words)


def test_no_secret_is_said_aloud() -> None:
    assert not any(
        "EVENER_SECRET=" in word for number in range(3) for word in shown(number, workers=2)
    )


def test_a_gpu_is_given_by_its_uuid() -> None:
    plan = plan_containers(job(), machine(gpus=2))
    agents = containers(plan, RUN, OUTSIDE)[1:]
    for number, agent in enumerate(agents):
        words = run_command(agent, RUN, OUTSIDE)
        assert f'--gpus="device={machine(gpus=2).devices[number].uuid}"' in words
    assert [rank.device for rank in plan.ranks] == ["cuda:0", "cuda:0"]


def test_every_limit_that_a_machine_asks_for_is_told_to_the_engine() -> None:
    wish = {"cpus": 1.5, "memory": "2GiB", "shm_size": "64MB", "cpu_affinity": "0,2"}
    asked = job().model_copy(update={"machines": (MachineWish.model_validate(wish),)})
    plan = plan_containers(asked, machine(cpus=4))
    words = run_command(containers(plan, RUN, OUTSIDE)[1], RUN, OUTSIDE)
    for word in (
        "--cpu-period=10000", "--cpu-quota=15000", "--memory=2147483648",
        "--memory-swap=2147483648", "--shm-size=64000000",
        "--cpuset-cpus=0,2",
    ):  # fmt: skip
        assert word in words


def test_two_gpus_of_one_machine_stay_together() -> None:
    asked = job().model_copy(update={"machines": (MachineWish(gpus=(0, 1)),)})
    plan = plan_containers(asked, machine(gpus=2))
    words = run_command(containers(plan, RUN, OUTSIDE)[1], RUN, OUTSIDE)
    assert '--gpus="device=GPU-0,GPU-1"' in words


def test_runs_of_one_name_in_two_folders_do_not_meet() -> None:
    other = RunDir(Path("/elsewhere/first"))
    assert network(RUN) != network(other)
    assert network_command(RUN)[-1] == network(RUN)


def test_files_are_the_callers_whichever_users_an_engine_maps() -> None:
    plain = ("name=seccomp,profile=default",)
    assert user_inside("1000:1000", plain) == ("1000:1000", "")
    assert user_inside("1000:1000", ()) == ("1000:1000", "")  # nobody could be asked
    assert user_inside("1000:1000", ("name=seccomp", "name=rootless")) == ("0:0", "")
    assert user_inside("1000:1000", ("name=userns",)) == ("1000:1000", "host")
    outside = Outside("evener:123", "1000:1000", "/cache", userns="host")
    plan = plan_containers(job(workers=1), machine(cpus=4))
    assert "--userns=host" in run_command(containers(plan, RUN, outside)[0], RUN, outside)


def test_a_folder_may_have_any_name() -> None:
    run = RunDir(Path('/runs/a, "b"'))
    plan = plan_containers(job(workers=1), machine(cpus=4))
    said = run_command(containers(plan, run, OUTSIDE)[0], run, OUTSIDE)
    folder = 'a, ""b""'
    assert f'--mount=type=bind,"source=/runs/{folder}","target=/runs/{folder}"' in said


def test_a_small_cap_has_a_period_that_a_kernel_can_deal_out() -> None:
    assert cap(0.2) == (10_000, 2_000)
    assert cap(0.02) == (50_000, 1_000)
    assert cap(16) == (10_000, 160_000)
