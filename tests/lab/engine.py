"""One real Docker engine for a whole test session, in a network of its own.

It needs root on Debian: there it installs what is missing (docker.io, debootstrap). No registry
is needed: the base image is made by debootstrap and, like the wheels that go into images, kept
outside the repository; without that folder all of it is made anew. Elsewhere tests are skipped,
and say why.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from evener.image import recipe
from evener.image.build import PINS

KEPT = Path("/var/tmp/evener-lab")
BASE = "python:3.11-slim"
START_S, STOP_S = 60.0, 30.0
_PACKAGES = ("docker.io", "debootstrap", "iptables", "iproute2")
_PROGRAMS = ("dockerd", "docker", "debootstrap", "iptables", "ip")
_IN_BASE = "python3,python3-pip,python3-venv,python-is-python3,ca-certificates"
HOLDER = "tail --follow /dev/null"  # lives until it is killed
# A machine of its own, by name and by what engines keep in /run: there is its socket too, where
# all engines have theirs.
_OWN_SPACES = ("unshare", "--uts", "--mount")
_NAMED = 'hostname "$0"; mount -t tmpfs none /run; exec "$@" -H unix:///run/docker.sock'
_NOT_PASSED_ON = ("dev", "proc", "sys")


class NoLab(Exception):  # noqa: N818  (a reason to skip, not a defect)
    """Why there can be no engine here."""


@contextlib.contextmanager
def engine(data: Path | None = None) -> Iterator[str]:
    """The DOCKER_HOST of an engine that has the base image.

    What it builds goes with it, unless `data` names a folder where the next one finds it again.
    """
    with daemon(data) as running:
        yield running.host


@contextlib.contextmanager
def daemon(data: Path | None = None) -> Iterator[Daemon]:
    """An engine that has the base image, and can be restarted."""
    need(_PROGRAMS, _PACKAGES)
    with TemporaryDirectory(prefix="evener-engine-", dir="/var/tmp") as temporary:
        folder = Path(temporary)
        data = data or folder / "data"
        try:
            with Daemon(folder, data) as running:
                if not _docker(running.host, "image", "ls", "--quiet", BASE):
                    _docker(running.host, "import", str(_base_image()), BASE)
                # Not every machine lets containers run.
                _docker(running.host, "run", "--rm", BASE, "true")
                try:
                    yield running
                finally:
                    _sweep(running.host)
        finally:
            for mounted in (data, folder):
                _unmount(mounted)


def wheels() -> Path:
    """A folder with every wheel of an image, torch's CPU build included."""
    folder = KEPT / f"wheels-{recipe.identity([PINS.read_text(), *recipe.PACKAGES], {})}"
    if not (folder / ".done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "-d",
            str(folder),
            "-c",
            str(PINS),
        ]
        _run([*command, "--only-binary=:all:", *recipe.PACKAGES], limit_s=900)
        (folder / ".done").touch()
    return folder


def need(programs: Sequence[str], packages: Sequence[str]) -> None:
    """Raises NoLab where they are not there and cannot be had."""
    missing = [name for name in programs if shutil.which(name) is None]
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoLab("engines and networks of our own need root on Linux")
    if not missing:
        return
    if not Path("/etc/debian_version").exists():
        raise NoLab(f"not installed: {', '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    options = ["-y", "-qq", "--no-install-recommends"]
    for command in (["update", "-qq"], ["install", *options, *packages]):
        _run(["apt-get", *command], limit_s=600, env=environment)


def _base_image() -> Path:
    """A stand-in for Docker's own Python image, as an archive of its files."""
    archive = KEPT / "base.tar"
    if archive.exists():
        return archive
    KEPT.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="base-", dir=KEPT) as temporary:
        root = Path(temporary) / "root"
        options = ["--variant=minbase", f"--include={_IN_BASE}"]
        _run(["debootstrap", *options, "bookworm", str(root)], limit_s=900)
        for package in (root / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        made = Path(temporary) / "base.tar"
        left_out = [f"--exclude=./{name}/*" for name in _NOT_PASSED_ON]
        _run(["tar", "-C", str(root), *left_out, "-cf", str(made), "."], limit_s=300)
        made.rename(archive)
    return archive


class Daemon:
    """dockerd in a network namespace that outlives it: its bridges are not this machine's."""

    def __init__(
        self, folder: Path, data: Path, name: str = "", options: Sequence[str] = ()
    ) -> None:
        """`name` is what it takes its machine to be called; else as this one is. `options` are
        dockerd's."""
        self.host = f"unix://{folder}/docker.sock"
        self.data = data
        self._folder, self._name, self._options = folder, name, tuple(options)
        self._network = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", f"ip link set lo up; echo; exec {HOLDER} >/dev/null"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._network.stdout is not None
        with self._network.stdout as up:
            up.readline()

    def __enter__(self) -> Daemon:
        try:
            self.start()
        except BaseException:
            self._end_network()
            raise
        return self

    def __exit__(self, *reason: object) -> None:
        self.stop()
        self._end_network()

    def start(self) -> None:
        folder = self._folder
        command = (
            *self.inside,
            *((*_OWN_SPACES, "sh", "-c", _NAMED, self._name) if self._name else ()),
            *("dockerd", "--data-root", str(self.data), "--exec-root", f"{folder}/exec"),
            *("-H", self.host, "-p", f"{folder}/docker.pid", "--cgroup-parent", "/evener-lab"),
            *("--insecure-registry=10.0.0.0/8", *self._options),
        )
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not _answers(self.host):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = (folder / "log").read_text(errors="replace").splitlines()[-3:]
                raise NoLab(f"dockerd does not start here: {' / '.join(tail)}")
            time.sleep(0.1)

    @property
    def inside(self) -> tuple[str, ...]:
        """Before a command: it runs in the engine's network."""
        return ("nsenter", f"--target={self._network.pid}", "--net")

    @property
    def network(self) -> int:
        """The process that the network is of."""
        return self._network.pid

    def stop(self) -> None:
        """As `systemctl stop docker` does: containers get their signal and their time."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """dockerd alone: containers live on until the next one finds them."""
        self._process.kill()
        self._process.wait()
        for file in (self._folder / "docker.pid", self._containerd):
            if file.exists():  # containerd dies with its parent; systemd would sweep up after them
                self._await_end(int(file.read_text()))
                file.unlink()

    def lose_power(self) -> float:
        """All at once: the engine, and every process of every container. Returns when."""
        containers = _docker(self.host, "ps", "--quiet").split()
        asked = ("inspect", "--format={{.State.Pid}}", *containers)
        pids = [int(pid) for pid in _docker(self.host, *asked).split()] if containers else []
        shims, at = self._shims(), time.time()
        self._process.kill()
        for pid in (*shims, *pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kill()
        return at

    @property
    def _containerd(self) -> Path:
        return self._folder / "exec/containerd/containerd.pid"

    def _shims(self) -> list[int]:
        """Our containers' parents: they name our folder."""
        ours = f"{self._folder}/exec/".encode()
        found = []
        for each in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                line = (each / "cmdline").read_bytes() if each.name.isdigit() else b""
                if b"containerd-shim" in line and ours in line:
                    found.append(int(each.name))
        return found

    def _await_end(self, pid: int) -> None:
        """Nobody may reap it here: a zombie counts as ended."""
        deadline = time.monotonic() + STOP_S
        while time.monotonic() < deadline:
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                return
            if stat.rpartition(")")[2].split()[0] in "ZX":
                return
            time.sleep(0.05)

    def _end_network(self) -> None:
        self._network.kill()
        self._network.wait()


def _answers(host: str) -> bool:
    done = subprocess.run(["docker", "-H", host, "info"], capture_output=True, check=False)
    return done.returncode == 0


def _sweep(host: str) -> None:
    """Containers that a failed test left."""
    if ids := _docker(host, "ps", "--all", "--quiet").split():
        _docker(host, "rm", "--force", "--volumes", *ids)


def _docker(host: str, *arguments: str) -> str:
    return _run(["docker", "-H", host, *arguments], limit_s=300)


def _unmount(folder: Path) -> None:
    """What the engine has mounted must be let go before its folder goes."""
    lines = Path("/proc/mounts").read_text().splitlines()
    points = [line.split()[1] for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", point], capture_output=True, check=False)


def _run(command: list[str], limit_s: float, env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit_s, env=env, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NoLab(f"{command[0]} took more than {limit_s:.0f} s") from error
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NoLab(f"{' '.join(command[:3])} failed: {' '.join(last)}")
    return done.stdout
