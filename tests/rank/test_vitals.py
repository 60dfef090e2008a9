"""What the system says of a process: of this one for real, of other machines from made-up trees."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from evener.rank import gauges, nvml, vitals
from evener.rank.gauges import Source
from evener.rank.vitals import Reader, Vitals, between

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux has")


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def readings(closing: ExitStack, sources: list[Source]) -> dict[str, float]:
    for source in sources:
        closing.callback(source.close)
    return {name: value for source in sources for name, value in source.read().items()}


def tree(root: Path, **files: str) -> Path:
    """Files under `root`; in their names `__` is a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def grouped(root: Path, groups: str) -> Path:
    """A /proc whose control groups lie under `root`."""
    mounts = [f"cgroup2 {root}/two cgroup2 rw 0 0", f"cgroup {root}/cpu cgroup rw,cpu 0 0"]
    return tree(root / "proc", self__cgroup=groups, mounts="\n".join(mounts))


# ------------------------------------------------------------------------- this machine


def test_this_process_is_looked_at() -> None:
    with vitals.of_this_process("cpu") as reader:
        began = time.thread_time()
        while time.thread_time() < began + 0.05:
            pass
        seen = reader.look()
    assert seen.seconds >= 0.05
    assert seen.running_s is not None
    assert 0.04 < seen.running_s <= seen.seconds + 0.01
    for name in (*vitals.COUNTERS, "stolen", "clock"):
        value = getattr(seen, name)
        assert value is None or value >= 0, name


@linux
def test_this_machine_tells_of_queues_and_memory() -> None:
    with vitals.of_this_process("cpu") as reader:
        seen = reader.look()
    assert seen.preempted is not None
    assert seen.major_faults is not None
    assert seen.stalled_s is not None or seen.swapped_pages is not None


def test_a_system_that_shows_nothing_says_nothing(tmp_path: Path, closing: ExitStack) -> None:
    empty = tmp_path / "nothing"
    files = [*gauges.groups(empty), *gauges.machine(empty), *gauges.power(empty)]
    assert files + gauges.processor(empty, ()) + gauges.heat(empty, (0, 1)) == []
    assert set(readings(closing, gauges.process(empty))) <= {
        "running_s", "preempted", "major_faults",
    }  # fmt: skip


# ------------------------------------------------------------------------ control groups


def test_throttling_of_version_two_counts_in_the_groups_above_too(
    tmp_path: Path, closing: ExitStack
) -> None:
    proc = grouped(tmp_path, "0::/slice/job\n")
    stat = "usage_usec 9\nnr_periods 10\nnr_throttled 4\nthrottled_usec {}\n"
    tree(tmp_path, two__slice__job__cpu_stat="")
    for folder, usec in (("two/slice/job", 500_000), ("two/slice", 250_000)):
        tree(tmp_path / folder, **{"cpu.stat": stat.format(usec)})
    tree(tmp_path / "two", **{"cpu.stat": "usage_usec 9\n"})  # the root has no quota
    assert readings(closing, gauges.groups(proc)) == {"throttled_s": 0.75}


def test_throttling_of_version_one_is_in_nanoseconds(tmp_path: Path, closing: ExitStack) -> None:
    proc = grouped(tmp_path, "3:cpu:/box\n")
    stat = "nr_periods 10\nnr_throttled 4\nthrottled_time 1500000000\n"
    tree(tmp_path / "cpu/box", **{"cpu.stat": stat})
    assert readings(closing, gauges.groups(proc)) == {"throttled_s": 1.5}


def test_in_a_container_that_shows_the_hosts_path_the_root_is_our_group(
    tmp_path: Path, closing: ExitStack
) -> None:
    proc = grouped(tmp_path, "0::/docker/0123\n")
    tree(tmp_path / "two", **{"cpu.stat": "throttled_usec 1000000\n"})
    assert readings(closing, gauges.groups(proc)) == {"throttled_s": 1.0}


PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 total=7\n"


def test_our_groups_wait_for_memory_comes_before_the_machines(
    tmp_path: Path, closing: ExitStack
) -> None:
    proc = grouped(tmp_path, "0::/job\n")
    tree(proc, pressure__memory=PRESSURE.format(9_000_000), vmstat="pswpin 3\npswpout 4\n")
    assert readings(closing, gauges.machine(proc)) == {"stalled_s": 9.0}
    tree(tmp_path / "two/job", **{"memory.pressure": PRESSURE.format(2_000_000)})
    assert readings(closing, gauges.machine(proc)) == {"stalled_s": 2.0}


def test_swap_is_counted_where_waiting_is_not(tmp_path: Path, closing: ExitStack) -> None:
    proc = tree(tmp_path, vmstat="pgpgin 9\npswpin 3\npswpout 4\n")
    assert readings(closing, gauges.machine(proc)) == {"swapped_pages": 7.0}


# ------------------------------------------------------------------------------ machines


def test_only_a_machine_that_lost_time_to_its_host_is_asked_again(
    tmp_path: Path, closing: ExitStack
) -> None:
    proc = tree(tmp_path, stat="cpu  10 0 10 100 0 0 0 0 0 0\ncpu0 1\n")
    assert gauges.machine(proc) == []
    tree(tmp_path, stat="cpu  10 1 10 100 5 2 2 5 0 0\ncpu0 1\n")
    assert readings(closing, gauges.machine(proc)) == {"stolen_ticks": 5.0, "busy_ticks": 30.0}


def test_heat_is_of_our_first_and_last_processor(tmp_path: Path, closing: ExitStack) -> None:
    for cpu, count in enumerate((1, 10, 100)):
        folder = tmp_path / f"devices/system/cpu/cpu{cpu}/thermal_throttle"
        tree(folder, core_throttle_count=f"{count}\n", package_throttle_count="1000\n")
    assert readings(closing, gauges.heat(tmp_path, (0, 1, 2))) == {"heat_events": 2101.0}
    assert readings(closing, gauges.heat(tmp_path, (1,))) == {"heat_events": 1010.0}


def test_the_clock_is_that_of_the_fastest_and_the_thermometer_the_processors(
    tmp_path: Path, closing: ExitStack
) -> None:
    for cpu, khz in enumerate((800_000, 3_000_000)):
        folder = tmp_path / f"devices/system/cpu/cpu{cpu}/cpufreq"
        tree(folder, scaling_cur_freq=f"{khz}\n", cpuinfo_max_freq="4000000\n")
    tree(tmp_path / "class/hwmon/hwmon0", name="nvme\n", temp1_input="31000\n")
    tree(tmp_path / "class/thermal/thermal_zone0", type="x86_pkg_temp\n", temp="81500\n")
    seen = readings(closing, gauges.processor(tmp_path, (0, 1)))
    assert seen == {"clock": 0.75, "temperature_c": 81.5}


def test_a_mouse_on_battery_is_no_laptop_on_battery(tmp_path: Path, closing: ExitStack) -> None:
    supply = tmp_path / "class/power_supply"
    tree(supply / "mouse", type="Battery\n", scope="Device\n", status="Discharging\n")
    tree(supply / "AC", type="Mains\n", online="0\n")
    assert gauges.power(tmp_path) == []
    tree(supply / "BAT0", type="Battery\n", status="Discharging\n")
    assert readings(closing, gauges.power(tmp_path)) == {"on_battery": 1.0}
    tree(supply / "BAT0", status="Charging\n")
    assert readings(closing, gauges.power(tmp_path)) == {"on_battery": 0.0}


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (gauges.parse_schedstat, "0 0 0"),  # the kernel does not count
        (gauges.parse_throttled, "usage_usec 1\n"),
        (gauges.parse_pressure, "none\n"),
        (gauges.parse_vmstat, ""),
        (gauges.parse_stat, "intr 1 2 3\n"),
    ],
)
def test_texts_that_do_not_say_it(parse: Any, text: str) -> None:
    assert parse(text) == {}


def test_a_file_that_turns_into_something_else_is_passed_over(
    tmp_path: Path, closing: ExitStack
) -> None:
    file = tmp_path / "schedstat"
    file.write_text("5000000000 2000000000 3\n")
    source = Source(gauges.parse_schedstat, file)
    assert readings(closing, [source]) == {"queued_s": 2.0}
    file.write_text("garbage")
    assert source.read() == {}


def test_a_source_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("1")
    with pytest.raises(FileNotFoundError):
        Source(gauges.parse_counts, tmp_path / "there", tmp_path / "not")


# -------------------------------------------------------------------------------- looks


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_look_is_told_against_the_one_before() -> None:
    clock, values = Clock(), {"throttled_s": 5.0, "stolen_ticks": 1.0, "busy_ticks": 10.0}
    reader = Reader([Source(lambda: dict(values))], [Source(lambda: {"clock": 0.5})], clock)
    clock.now += 2
    values |= {"throttled_s": 6.5, "stolen_ticks": 3.0, "busy_ticks": 18.0}
    assert reader.look() == Vitals(seconds=2.0, throttled_s=1.5, stolen=0.25, clock=0.5)
    clock.now += 1
    assert reader.look() == Vitals(seconds=1.0, throttled_s=0.0, stolen=None, clock=0.5)


def test_a_counter_that_went_back_says_nothing() -> None:
    assert between({"throttled_s": 5.0}, {"throttled_s": 1.0}, 1.0, {}).throttled_s is None


def test_a_slow_gauge_is_asked_seldom() -> None:
    clock, asked = Clock(), []

    def slow() -> dict[str, float]:
        asked.append(clock.now)
        clock.now += 0.02
        return {"on_battery": 1.0}

    reader = Reader([], [Source(slow)], clock)
    for _ in range(100):
        clock.now += 0.5
        assert reader.look().on_battery == 1.0
    assert len(asked) == 3  # of 52 s, each time for 20


# ---------------------------------------------------------------------------------- GPUs


class Driver:
    """Answers as NVIDIA's library does: 0, and the number where it was told to put it."""

    def __init__(self, reasons: int, failing: int = 0) -> None:
        self.reasons, self.failing = reasons, failing

    def nvmlInit_v2(self) -> int:
        return self.failing

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: Any) -> int:
        return 0 if uuid.startswith(b"GPU-") else 6

    def _put(self, where: Any, value: int) -> int:
        where._obj.value = value
        return 0

    def nvmlDeviceGetMaxClockInfo(self, handle: ctypes.c_void_p, kind: int, to: Any) -> int:
        return self._put(to, 2000)

    def nvmlDeviceGetClockInfo(self, handle: ctypes.c_void_p, kind: int, to: Any) -> int:
        return self._put(to, 1500)

    def nvmlDeviceGetTemperature(self, handle: ctypes.c_void_p, kind: int, to: Any) -> int:
        return self._put(to, 71)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Any, to: Any) -> int:
        return self._put(to, self.reasons)


@pytest.mark.parametrize(
    ("reasons", "hot", "capped"), [(0, 0, 0), (0x20, 1, 0), (0x40, 1, 0), (0x04, 0, 1), (1, 0, 0)]
)
def test_a_gpu_tells_of_heat_clock_and_limit(reasons: int, hot: float, capped: float) -> None:
    seen = nvml.of(Driver(reasons), "GPU-1").read()
    assert seen == {"temperature_c": 71.0, "clock": 0.75, "hot": hot, "capped": capped}


def test_a_driver_that_does_not_answer_is_an_error_at_the_start_only() -> None:
    with pytest.raises(OSError, match="answered 9"):
        nvml.of(Driver(0, failing=9), "GPU-1")


@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="there is a GPU here")  # noqa: PTH110
def test_without_a_driver_nothing_is_known_of_gpus() -> None:
    assert nvml.levels("cuda:0") == []
