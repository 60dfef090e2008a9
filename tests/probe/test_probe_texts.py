"""Texts that other machines gave, and what they say about them."""

from __future__ import annotations

import math

import pytest

from evener.cluster import Device
from evener.probe import parse

GIB = 2**30

HYBRID_MOUNTS = """\
proc /proc proc rw,relatime 0 0
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/uni\\040fied cgroup2 rw,relatime 0 0
broken
"""


def test_mounts_of_both_versions() -> None:
    found = parse.parse_mounts(HYBRID_MOUNTS)
    assert found["cpu"] == found["cpuacct"] == "/sys/fs/cgroup/cpu,cpuacct"
    assert found["memory"] == "/sys/fs/cgroup/memory"
    assert found[""] == "/sys/fs/cgroup/uni fied"


def test_groups_of_both_versions() -> None:
    text = "9:name=systemd:/\n8:cpu,cpuacct:/docker/0a1b\n4:memory:/x:y\n0::/user.slice/a\n\nx\n"
    found = parse.parse_cgroups(text)
    assert found["cpu"] == "/docker/0a1b"
    assert found["memory"] == "/x:y"
    assert found[""] == "/user.slice/a"


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000\n", math.inf), ("200000 100000\n", 2.0), ("50000 100000", 0.5), ("150000", 1.5)],
)
def test_quota_of_version_two(text: str, cores: float) -> None:
    assert parse.parse_cpu_max(text) == cores


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [("-1\n", "100000\n", math.inf), ("0", "100000", math.inf), ("250000\n", "100000\n", 2.5)],
)
def test_quota_of_version_one(quota: str, period: str, cores: float) -> None:
    assert parse.parse_cfs_quota(quota, period) == cores


@pytest.mark.parametrize(
    ("text", "limit"),
    [("max\n", math.inf), ("9223372036854771712\n", math.inf), (f"{GIB}\n", float(GIB))],
)
def test_memory_limits(text: str, limit: float) -> None:
    assert parse.parse_memory_limit(text) == limit


@pytest.mark.parametrize("text", ["", "lots"])
def test_a_limit_that_is_none_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="int"):
        parse.parse_memory_limit(text)


def test_what_a_group_has_used() -> None:
    assert parse.parse_cpu_stat("usage_usec 1500000\nuser_usec 3\n") == 1.5
    assert parse.parse_cpuacct("1500000000\n") == 1.5
    with pytest.raises(ValueError, match="usage_usec"):
        parse.parse_cpu_stat("nr_periods 0\n")


@pytest.mark.parametrize(
    ("text", "cache"),
    [
        ("anon 4\ninactive_file 70\nactive_file 1\n", 70),  # version 2
        ("inactive_file 7\nhierarchical_memory_limit 1\ntotal_inactive_file 70\n", 70),
        ("anon 4\n", 0),
    ],
)
def test_what_a_group_only_keeps(text: str, cache: int) -> None:
    assert parse.parse_cache(text) == cache


def test_what_a_group_has_read_and_written() -> None:
    """Some kernels do not end the line of a device that has no figures."""
    text = "8:16 8:0 rbytes=90 wbytes=8 rios=1\n\n259:0 rios=3\n"
    assert parse.parse_io_stat(text) == {"8:0": (90, 8), "259:0": (0, 0)}


def test_meminfo() -> None:
    assert parse.parse_meminfo("MemTotal:       24684084 kB\nMemFree: 1 kB\n") == 24684084 * 1024
    with pytest.raises(ValueError, match="MemTotal"):
        parse.parse_meminfo("MemFree: 1 kB\n")


def test_cpu_names() -> None:
    assert parse.parse_cpu_name("processor: 0\nmodel name\t: AMD  EPYC 7B13\n") == "AMD EPYC 7B13"
    assert parse.parse_cpu_name("Model\t\t: Raspberry Pi 5\n") == "Raspberry Pi 5"
    assert parse.parse_cpu_name("CPU implementer : 0x41\n") == ""


def test_nvidia_smi() -> None:
    text = "0, NVIDIA GeForce RTX 4090, 24564, GPU-1\n1, NVIDIA GB10, [N/A], GPU-2\n\n"
    assert parse.parse_nvidia_smi(text) == (
        Device("cuda", 0, "NVIDIA GeForce RTX 4090", 24564 * 2**20, "GPU-1"),
        Device("cuda", 1, "NVIDIA GB10", 0, "GPU-2"),
    )


@pytest.mark.parametrize("text", ["No devices were found", "0, A, 1"])
def test_other_words_of_nvidia_smi_are_no_devices(text: str) -> None:
    with pytest.raises(ValueError, match="not a line about a device"):
        parse.parse_nvidia_smi(text)


DEVICES = (Device("cuda", 0, "a", 1, "GPU-aa"), Device("cuda", 1, "b", 2, "GPU-ab"))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (None, ["a", "b"]),
        ("", []),
        ("1", ["b"]),
        ("1,0", ["b", "a"]),
        ("0,7,1", ["a"]),
        ("-1", []),
        ("GPU-ab", ["b"]),
        ("GPU-a", []),
    ],
)
def test_visible_devices_are_numbered_as_cuda_does(wanted: str | None, names: list[str]) -> None:
    seen = parse.visible_devices(DEVICES, wanted)
    assert [d.name for d in seen] == names
    assert [d.index for d in seen] == list(range(len(names)))
