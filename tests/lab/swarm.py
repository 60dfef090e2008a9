"""A real Docker Swarm: engines whose networks meet at a switch of their own.

The first is an engine that is there already; the others are made beside it, with a copy of the
images that it has by then. Those that it makes later they must be given, or get from a registry.
The second machine says that it has a GPU, which is not there.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.engine import HOLDER, Daemon, _run, _unmount

NET, FIRST = "10.78.0", 10
GPU = "GPU-11111111-2222-3333-4444-555555555555"  # of the second machine, as it says
REGISTRY_PORT, OVERLAY_PORT = 5000, 4789
_REGISTRY = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}
http:
  addr: {address}
"""


@dataclass
class Swarm:
    """`engines[0]` is its manager."""

    engines: list[Daemon] = field(default_factory=list)
    switch: int = 0  # the process whose network is the switch

    def docker(self, number: int, *arguments: str) -> str:
        return _run(["docker", "-H", self.engines[number].host, *arguments], limit_s=300)

    def join(self, number: int) -> None:
        token = self.docker(0, "swarm", "join-token", "--quiet", "worker").strip()
        self.docker(number, "swarm", "join", f"--token={token}", f"{NET}.{FIRST}:2377")

    def leave(self, number: int) -> None:
        """It is out, and forgotten."""
        node = self.docker(number, "info", "--format={{.Swarm.NodeID}}").strip()
        self.docker(number, "swarm", "leave")
        self.docker(0, "node", "rm", "--force", node)

    def narrow(self, number: int, packet_bytes: int) -> None:
        """Its cable lets no larger packets pass."""
        network = self.engines[number].network
        _in_network(network, "ip", "link", "set", "eth0", "mtu", str(packet_bytes))

    def cut(self, number: int) -> None:
        _in_network(self.switch, "ip", "link", "set", f"port{number}", "down")

    def heal(self, number: int) -> None:
        _in_network(self.switch, "ip", "link", "set", f"port{number}", "up")

    @contextlib.contextmanager
    def closed(self, number: int, other: int) -> Iterator[None]:
        """What one of them sends through the overlay does not come to the other."""
        rule = ("INPUT", "--source", f"{NET}.{FIRST + other}", "--protocol", "udp",
                "--dport", str(OVERLAY_PORT), "--jump", "DROP")  # fmt: skip
        network = self.engines[number].network
        _in_network(network, "iptables", "--wait", "--insert", *rule)
        try:
            yield
        finally:
            _in_network(network, "iptables", "--wait", "--delete", *rule)


def need_overlay() -> None:
    """Raises NoLab where this system has nothing that networks of a Swarm are made of."""
    of_one = "ip link add of-one type vxlan id 7 dstport 4789 dev lo"
    _run(["unshare", "--net", "sh", "-c", f"ip link set lo up && {of_one}"], limit_s=60)


@contextlib.contextmanager
def swarm(manager: Daemon, others: int) -> Iterator[Swarm]:
    with contextlib.ExitStack() as stack:
        made = Swarm([manager], stack.enter_context(_switch()))
        _forget_another(made)
        _plug_in(made, 0, stack)
        for number in range(1, others + 1):
            gpu = [f"--node-generic-resource=NVIDIA-GPU={GPU}"] if number == 1 else []
            made.engines.append(stack.enter_context(_beside(f"host{number}", manager, gpu)))
            _plug_in(made, number, stack)
        made.docker(0, "swarm", "init", f"--advertise-addr={NET}.{FIRST}")
        stack.callback(made.docker, 0, "swarm", "leave", "--force")
        for number in range(1, others + 1):
            made.join(number)
        yield made


def _forget_another(made: Swarm) -> None:
    """Which the manager was in when it was killed, if its images were kept."""
    if made.docker(0, "info", "--format={{.Swarm.LocalNodeState}}").strip() != "inactive":
        made.docker(0, "swarm", "leave", "--force")


def _plug_in(made: Swarm, number: int, stack: contextlib.ExitStack) -> None:
    _connect(made.switch, made.engines[number].network, number)
    stack.callback(_disconnect, made.switch, number)


@contextlib.contextmanager
def registry(manager: Daemon) -> Iterator[str]:
    """Of a Swarm's: the address of Debian's docker-registry, empty, for all of its machines."""
    if shutil.which("docker-registry") is None:
        _run(["apt-get", "install", "-y", "-qq", "docker-registry"], limit_s=300)
    address = f"{NET}.{FIRST}:{REGISTRY_PORT}"
    with TemporaryDirectory(prefix="evener-registry-", dir="/var/tmp") as folder:
        config = Path(folder) / "config.yml"
        config.write_text(_REGISTRY.format(folder=folder, address=address))
        with (Path(folder) / "log").open("wb") as log, subprocess.Popen(
            [*manager.inside, "docker-registry", "serve", str(config)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                yield address
            finally:
                process.kill()


@contextlib.contextmanager
def _beside(name: str, manager: Daemon, options: Sequence[str]) -> Iterator[Daemon]:
    with TemporaryDirectory(prefix="evener-engine-", dir="/var/tmp") as temporary:
        folder = Path(temporary)
        try:
            _copy_images(manager.data, folder / "data")
            with Daemon(folder, folder / "data", name, options) as running:
                yield running
                running.lose_power()  # which is soon done
        finally:
            _unmount(folder)


def _copy_images(source: Path, target: Path) -> None:
    """Files of an engine that makes none at the moment: much faster than to save and load them.
    Layers are never written to again, so that links to them do. An engine mounts its folder upon
    itself, and no link leads out of a mount: so it is copied where that is not there."""
    target.mkdir()
    bare = ("unshare", "--mount", "sh", "-c", f'umount --lazy {source}; exec "$@"', "sh")
    for part, more in (("image", ()), ("overlay2", ("--link",))):
        words = (*bare, "cp", "--archive", "--one-file-system", *more)
        _run([*words, f"{source}/{part}", f"{target}/{part}"], limit_s=300)
    for of_containers in (target / "image").glob("*/layerdb/mounts"):
        shutil.rmtree(of_containers)


@contextlib.contextmanager
def _switch() -> Iterator[int]:
    """A network with nothing in it but a bridge."""
    make = "ip link add switch type bridge && ip link set switch up && echo"
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", f"{make}; exec {HOLDER} >/dev/null"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as holder:
        try:
            assert holder.stdout is not None
            with holder.stdout as up:
                up.readline()
            yield holder.pid
        finally:
            holder.kill()


def _connect(switch: int, network: int, number: int) -> None:
    """A cable, and an address at the engine's end of it."""
    port = f"port{number}"
    _run(
        ["ip", "link", "add", port, "netns", str(switch), "type", "veth",
         "peer", "name", "eth0", "netns", str(network)], limit_s=60,
    )  # fmt: skip
    _in_network(switch, "ip", "link", "set", port, "master", "switch", "up")
    _in_network(network, "ip", "addr", "add", f"{NET}.{FIRST + number}/24", "dev", "eth0")
    _in_network(network, "ip", "link", "set", "eth0", "up")


def _disconnect(switch: int, number: int) -> None:
    command = [*_inside(switch), "ip", "link", "del", f"port{number}"]
    subprocess.run(command, capture_output=True, timeout=60, check=False)


def _in_network(process: int, *command: str) -> None:
    _run([*_inside(process), *command], limit_s=60)


def _inside(process: int) -> Sequence[str]:
    return ("nsenter", f"--target={process}", "--net")
