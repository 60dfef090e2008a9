"""The machine the tests run on, and made-up ones in a folder."""

from __future__ import annotations

import math
import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from evener.cluster import from_dict, to_dict
from evener.probe import interface_of, limits, probe
from evener.probe.interfaces import address_facing, interfaces


def test_this_machine_is_read_completely() -> None:
    machine = probe()
    assert machine.notes == ()
    assert machine.name
    assert 0 < machine.cpus <= (os.cpu_count() or 1)
    assert machine.memory_bytes > 2**28
    assert machine.disk_free_bytes > 0
    assert machine.cpu_name
    assert machine.python == ".".join(map(str, sys.version_info[:3]))
    assert from_dict(to_dict(machine)) == machine


def test_what_cannot_be_read_is_noted_and_the_rest_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho NVIDIA-SMI has failed >&2\nexit 9\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    machine = probe()
    assert machine.devices == ()
    assert machine.cpus > 0
    assert machine.notes == (
        "CUDA devices could not be read: nvidia-smi exited with 9: NVIDIA-SMI has failed",
    )


def test_devices_are_those_a_rank_will_see(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, A, 1000, GPU-a'\necho '1, B, 2000, GPU-b'\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [(d.index, d.name) for d in probe().devices] == [(0, "B")]


# ------------------------------------------------------------------------- control groups


def made_up(tmp_path: Path, groups: str, files: dict[str, str]) -> Path:
    """A /proc whose control groups lie under `tmp_path`."""
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self/cgroup").write_text(groups)
    mounts = [
        f"cgroup2 {tmp_path}/two cgroup2 rw 0 0",
        f"cgroup {tmp_path}/cpu cgroup rw,cpu 0 0",
        f"cgroup {tmp_path}/memory cgroup rw,memory 0 0",
    ]
    (proc / "mounts").write_text("\n".join(mounts))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return proc


def test_the_tightest_quota_above_us_counts(tmp_path: Path) -> None:
    files = {
        "two/slice/job/cpu.max": "max 100000",
        "two/slice/cpu.max": "150000 100000",
        "two/cpu.max": "800000 100000",
        "two/slice/job/memory.max": "4000000000",
        "two/slice/memory.max": "max",
    }
    proc = made_up(tmp_path, "0::/slice/job\n", files)
    assert limits.quota_cpus(proc) == 1.5
    assert limits.memory_limit_bytes(proc) == 4e9


def test_quotas_of_version_one(tmp_path: Path) -> None:
    files = {
        "cpu/box/cpu.cfs_quota_us": "50000\n",
        "cpu/box/cpu.cfs_period_us": "100000\n",
        "memory/box/memory.limit_in_bytes": "1073741824\n",
    }
    proc = made_up(tmp_path, "3:cpu:/box\n2:memory:/box\n", files)
    assert limits.quota_cpus(proc) == 0.5
    assert limits.memory_limit_bytes(proc) == 2**30


def test_in_a_container_that_shows_the_hosts_path_the_root_is_our_group(tmp_path: Path) -> None:
    files = {"two/cpu.max": "200000 100000"}
    assert limits.quota_cpus(made_up(tmp_path, "0::/docker/0123\n", files)) == 2.0


def test_no_limits_are_infinite(tmp_path: Path) -> None:
    assert limits.quota_cpus(tmp_path / "no/proc") == math.inf
    assert limits.memory_limit_bytes(made_up(tmp_path, "0::/\n", {})) == math.inf


def test_damaged_limits_do_not_limit(tmp_path: Path) -> None:
    files = {"two/cpu.max": "garbage", "two/memory.max": ""}
    proc = made_up(tmp_path, "0::/\n", files)
    assert limits.quota_cpus(proc) == math.inf
    assert limits.memory_limit_bytes(proc) == math.inf


# ----------------------------------------------------------------------------- interfaces


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getifaddrs")
def test_loopback_is_found_by_its_address() -> None:
    name = interface_of("127.0.0.1")
    assert name in [n for _, n in socket.if_nameindex()]
    assert any(i.name == name and i.address.is_loopback for i in interfaces())


def test_a_foreign_address_has_no_interface_here() -> None:
    assert interface_of("198.51.100.7") is None
    assert interface_of("a name") is None


def test_the_address_that_faces_a_host_is_the_one_its_route_begins_with() -> None:
    assert address_facing("127.0.0.1", 9) == "127.0.0.1"


def test_a_host_without_an_address_faces_nothing() -> None:
    with pytest.raises(socket.gaierror):
        address_facing("no-such-host.invalid", 9)
