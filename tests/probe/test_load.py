"""How busy a machine is: this one for real, limited ones from made-up trees."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evener.probe import limits, usage
from evener.probe.load import Load, Meter, of_this_machine
from evener.probe.patience import PATIENCE
from evener.probe.usage import Growth, Levels

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux has")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def tree(root: Path, **files: str) -> Path:
    """Files under `root`; in their names `__` is a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def grouped(root: Path, groups: str) -> Path:
    """A /proc whose control groups lie under `root`, each controller of version 1 in its own."""
    first = [f"cgroup {root}/{c} cgroup rw,{c} 0 0" for c in ("cpu", "cpuacct", "memory")]
    mounts = [f"cgroup2 {root}/two cgroup2 rw 0 0", *first]
    return tree(root / "proc", self__cgroup=groups, mounts="\n".join(mounts))


# ------------------------------------------------------------------------- this machine


def test_this_machine_is_looked_at() -> None:
    meter = of_this_machine()
    spin(0.3)
    seen = meter.look()
    assert seen.cpu_share is not None
    assert 0.5 / (os.cpu_count() or 1) < seen.cpu_share <= 1  # one processor of them is ours
    assert seen.memory_bytes is not None
    assert seen.memory_limit_bytes is not None
    assert 2**24 < seen.memory_bytes < seen.memory_limit_bytes
    for name in ("disk_read_bytes_per_s", "disk_write_bytes_per_s", "received_bytes_per_s"):
        value = getattr(seen, name)
        assert value is None or value >= 0, name
    assert seen.temperature_c is None or 0 < seen.temperature_c < 130
    assert seen.gpus == {}


def spin(seconds: float) -> None:
    began = time.thread_time()
    while time.thread_time() < began + seconds:
        pass


@linux
def test_what_is_written_to_disk_is_counted(tmp_path: Path) -> None:
    if os.major(tmp_path.stat().st_dev) == 0:
        pytest.skip("the tests' folder is on no disk of its own")
    written = usage.disks(None)
    began = time.monotonic()
    with (tmp_path / "block").open("wb") as file:
        file.write(os.urandom(8 * 2**20))
        file.flush()
        os.fsync(file.fileno())
    bytes_per_s = written()["disk_write_bytes_per_s"]
    assert bytes_per_s * (time.monotonic() - began) > 7 * 2**20


def test_what_leaves_the_machine_is_counted_and_what_stays_is_not() -> None:
    rate = usage.networks()
    began = time.monotonic()
    tell("127.0.0.1", 8_000_000)
    within = rate().get("sent_bytes_per_s", 0.0) * (time.monotonic() - began)
    assert within < 4_000_000
    began = time.monotonic()
    try:
        tell("192.0.2.1", 200_000)  # set apart for examples: nobody's
    except OSError as error:
        pytest.skip(f"this machine is in no network: {error}")
    time.sleep(0.1)
    beyond = rate()["sent_bytes_per_s"] * (time.monotonic() - began)
    assert beyond > 150_000


def tell(host: str, size_bytes: int) -> None:
    """To a port where nobody listens, in small pieces."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(size_bytes // 1000):
            sock.sendto(bytes(1000), (host, 9))


def test_a_look_costs_next_to_nothing() -> None:
    """Of one processor, when it is taken every two seconds: less than a thousandth."""
    gauges = (usage.processors(None), usage.memory(None), usage.disks(None), usage.networks())
    began = time.thread_time()
    answers = [usage.answer(gauge) for _ in range(20) for gauge in gauges]
    assert (time.thread_time() - began) / 20 < 0.002
    assert all(answers[1::4]), "memory was not even told of"


def test_psutil_is_found_by_who_looks_and_can_be_missing() -> None:
    """Importing us does not import it, and without it the rest is told."""
    code = """
import sys
import evener.agent.__main__, evener.cli.main, evener.head.__main__
assert "psutil" not in sys.modules
sys.modules["psutil"] = None
from evener.probe.load import of_this_machine
seen = of_this_machine().look()
assert seen.sent_bytes_per_s is None, seen
print("told")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "told\n", done.stderr


# ------------------------------------------------------------------------ control groups

STAT = "usage_usec {}\nuser_usec 1\nsystem_usec 1\n"


def test_under_a_quota_the_processors_are_those_of_the_quota(tmp_path: Path) -> None:
    proc, clock = grouped(tmp_path, "0::/slice/job\n"), Clock()
    tree(tmp_path / "two/slice/job", **{"cpu.max": "max 100000", "cpu.stat": STAT.format(5)})
    slice_ = tree(tmp_path / "two/slice", **{"cpu.max": "50000 100000"})
    tree(slice_, **{"cpu.stat": STAT.format(1_000_000)})
    quota = limits.quota(proc)
    assert quota is not None
    assert (quota.most, quota.folder, quota.version) == (0.5, slice_, 2)
    share = usage.processors(quota, proc, clock)
    clock.now += 2
    tree(slice_, **{"cpu.stat": STAT.format(1_800_000)})  # 0.8 s of the 1 s there was
    assert share() == pytest.approx({"cpu_share": 0.8})
    clock.now += 2
    tree(slice_, **{"cpu.stat": STAT.format(9_000_000)})  # a burst
    assert share() == {"cpu_share": 1.0}
    (slice_ / "cpu.stat").unlink()
    clock.now += 2
    assert share() == {}


def test_accounts_of_version_one_lie_in_a_tree_of_their_own(tmp_path: Path) -> None:
    proc, clock = grouped(tmp_path, "3:cpu:/box/in\n2:cpuacct:/box/in\n"), Clock()
    quota = {"cpu.cfs_quota_us": "25000\n", "cpu.cfs_period_us": "100000\n"}
    tree(tmp_path / "cpu/box/in", **{"cpu.shares": "2\n"})
    tree(tmp_path / "cpu/box", **quota)
    inner = tree(tmp_path / "cpuacct/box/in", **{"cpuacct.usage": "7\n"})
    outer = tree(tmp_path / "cpuacct/box", **{"cpuacct.usage": "1000000000\n"})
    share = usage.processors(limits.quota(proc), proc, clock)
    clock.now += 4
    tree(inner, **{"cpuacct.usage": "999\n"})
    tree(outer, **{"cpuacct.usage": "1500000000\n"})  # half a second of the one there was
    assert share() == pytest.approx({"cpu_share": 0.5})


@pytest.mark.parametrize(
    ("groups", "folder", "files"),
    [
        (
            "0::/job\n",
            "two/job",
            {
                "memory.max": "1000000\n",
                "memory.current": "700000\n",
                "memory.stat": "anon 1\ninactive_file 200000\nactive_file 5\n",
            },
        ),
        (
            "3:memory:/job\n",
            "memory/job",
            {
                "memory.limit_in_bytes": "1000000\n",
                "memory.usage_in_bytes": "700000\n",
                "memory.stat": "inactive_file 1\ntotal_inactive_file 200000\n",
            },
        ),
    ],
)
def test_memory_is_that_of_the_group_without_what_is_only_kept(
    tmp_path: Path, groups: str, folder: str, files: dict[str, str]
) -> None:
    proc = grouped(tmp_path, groups)
    tree(tmp_path / folder, **files)
    tell = usage.memory(limits.memory_limit(proc))
    assert tell() == {"memory_bytes": 500_000, "memory_limit_bytes": 1_000_000}


@linux
def test_a_limit_beyond_the_machines_memory_is_none(tmp_path: Path) -> None:
    proc = grouped(tmp_path, "0::/job\n")
    tree(tmp_path / "two/job", **{"memory.max": f"{2**55}\n", "memory.current": "1\n"})
    assert usage.memory(limits.memory_limit(proc))()["memory_bytes"] > 2**20


def test_a_limited_group_is_told_of_as_a_whole(tmp_path: Path) -> None:
    """Of every gauge that control groups have: what others do on the machine is not in it."""
    proc, clock = grouped(tmp_path, "0::/job\n"), Clock()
    job = tree(
        tmp_path / "two/job",
        **{
            "cpu.max": "10000 100000\n",
            "cpu.stat": STAT.format(0),
            "memory.max": "1000000\n",
            "memory.current": "600000\n",
            "memory.stat": "inactive_file 0\n",
            "io.stat": "8:0 rbytes=1000 wbytes=50 rios=1\n253:0 rbytes=1000 wbytes=50\n",
        },
    )
    hardware = tmp_path / "sys"
    (hardware / "dev/block/8:0/device").mkdir(parents=True)
    tree(hardware / "class/hwmon/hwmon0", name="coretemp\n", temp1_input="61500\n")
    meter = of_this_machine((), proc, hardware, clock)
    clock.now += 2
    tree(job, **{"cpu.stat": STAT.format(100_000)})
    tree(job, **{"io.stat": "8:0 rbytes=5000 wbytes=250 rios=1\n253:0 rbytes=5000 wbytes=250\n"})
    seen = meter.look()
    assert seen.cpu_share == 0.5
    assert (seen.memory_bytes, seen.memory_limit_bytes) == (600_000, 1_000_000)
    assert (seen.disk_read_bytes_per_s, seen.disk_write_bytes_per_s) == (2000, 100)
    assert seen.temperature_c == 61.5


# ----------------------------------------------------------------------------- counters


def test_rates_are_of_counters_that_were_there_before_and_went_on() -> None:
    clock, counts = Clock(), {"a": 10.0, "b": 10.0}
    growth = Growth(lambda: dict(counts), clock)
    assert growth.per_s() == {}  # no time has passed
    clock.now += 2
    counts |= {"a": 16.0, "b": 1.0, "c": 5.0}
    assert growth.per_s() == {"a": 3.0}
    clock.now += 1
    counts |= {"a": 16.0, "b": 2.0}
    assert growth.per_s() == {"a": 0.0, "b": 1.0, "c": 0.0}


def test_a_counter_that_fails_for_a_while_is_told_of_again(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "count"

    def count() -> Levels:
        return {"n": float(file.read_text())}

    growth = Growth(count, clock)
    seen = []
    for text in ("5", "oops", "7", "9"):
        clock.now += 1
        file.write_text(text)
        seen.append(growth.per_s())
    assert seen == [{}, {}, {}, {"n": 2.0}]


def test_what_goes_through_hardware_is_not_counted_twice(tmp_path: Path) -> None:
    for device in ("sda", "eth0"):
        (tmp_path / device / "device").mkdir(parents=True)
    assert usage.tangible(["sda", "sda1", "dm-0", "loop0"], tmp_path) == ["sda"]
    assert usage.tangible(["docker0", "eth0", "tun0"], tmp_path) == ["eth0"]
    assert usage.tangible(["eth7", "tun0"], tmp_path) == ["eth7", "tun0"]  # in a container


def test_time_is_spent_or_idle() -> None:
    """As Linux tells it, where `user` has the guests' time in it, and as macOS does."""
    here = {"user": 5.0, "system": 1.0, "idle": 3.0, "iowait": 1.0, "guest": 2.0, "guest_nice": 0.0}
    assert usage.spent([here]) == {"all": 10.0, "idle": 4.0}
    there = {"user": 1.0, "nice": 0.0, "system": 1.0, "idle": 8.0}
    assert usage.spent([here, there]) == {"all": 20.0, "idle": 12.0}


# -------------------------------------------------------------------------------- looks


def test_numbers_are_as_long_as_they_mean_something() -> None:
    told = {"cpu_share": 0.123456, "memory_bytes": 5.0, "temperature_c": 61.23456}
    told |= {"sent_bytes_per_s": 1234.5678}
    seen = Meter([lambda: told]).look()
    assert seen == Load(cpu_share=0.123, memory_bytes=5, temperature_c=61.2, sent_bytes_per_s=1235)


def test_a_gauge_that_fails_says_nothing_and_keeps_no_other() -> None:
    def broken() -> Levels:
        raise OSError("the device is gone")

    assert Meter([broken, lambda: {"cpu_share": 0.5}]).look() == Load(cpu_share=0.5)


def test_a_gauge_that_costs_much_is_asked_seldom() -> None:
    clock, cost, asked = Clock(), Clock(), []

    def costly() -> Levels:
        asked.append(clock.now)
        cost.now += 0.01
        return {"cpu_share": 0.5}

    meter = Meter([costly], (), clock, cost)
    for _ in range(20):
        clock.now += 1
        assert meter.look().cpu_share == 0.5
    assert len(asked) == 2
    assert 0.01 * PATIENCE <= asked[1] - asked[0] <= 0.01 * PATIENCE + 1


def test_one_that_only_takes_long_is_asked_all_the_same() -> None:
    clock, cost, asked = Clock(), Clock(), []

    def slow() -> Levels:
        asked.append(clock.now)
        clock.now += 1  # in which the driver sleeps
        return {}

    meter = Meter([slow], (), clock, cost)
    for _ in range(5):
        meter.look()
    assert len(asked) == 5
