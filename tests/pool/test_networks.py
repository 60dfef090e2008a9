"""A pool whose machines are in networks of their own: NAT, no UDP, and a stranger who looks in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evener import contract
from evener.events import GenerationFormed
from evener.rundir.layout import RunDir
from tests.backends.shell import check_steps, events, last_step, until
from tests.lab import networks as lab
from tests.lab.engine import NoLab
from tests.lab.networks import HEAD, NET, Networks
from tests.pool.machines import JOB, Machines, code

ELSEWHERE = f"{NET}.50"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Every port of a machine by TCP, and what it says by UDP at the one that is open by TCP. To nebula
# one of these is noise, and one a handshake that is none.
LOOK = """
import errno, json, socket, ssl, sys
host, found = sys.argv[1], {"tcp": [], "udp": [], "https": ""}
for port in range(1, 65536):
    with socket.socket() as sock:
        sock.settimeout(2)
        if sock.connect_ex((host, port)) != errno.ECONNREFUSED:
            found["tcp"].append(port)
for port in found["tcp"]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        for said in (b"", b"hello", b"\\x10" + bytes(99)):
            sock.sendto(said, (host, port))
            try:
                found["udp"].append(sock.recv(9999).hex())
            except TimeoutError:
                pass
    anyone = ssl._create_unverified_context()
    with anyone.wrap_socket(socket.create_connection((host, port), 5)) as sock:
        sock.sendall(b"POST /pool/datagrams HTTP/1.0\\r\\n\\r\\n")
        while data := sock.recv(9999):
            found["https"] += data.decode()
print(json.dumps(found))
"""

# What a machine serves for itself, at a port and at all of its addresses; and who asks there.
SERVE = """
import socket
with socket.create_server(("", 8080)) as serving:
    print(flush=True)
    while True:
        serving.accept()[0].close()
"""
ASK = "import socket, sys; socket.create_connection((sys.argv[1], 8080), 2)"


@pytest.fixture
def networks() -> Iterator[Networks]:
    try:
        with lab.networks(behind=2) as made:
            yield made
    except NoLab as reason:
        pytest.skip(str(reason))


@pytest.fixture
def machines(networks: Networks, tmp_path: Path) -> Iterator[Machines]:
    places = (networks.head, *networks.behind)
    found = Machines(tmp_path, {number: place.inside for number, place in enumerate(places)})
    yield found
    found.end()


def test_machines_behind_nat_train_with_and_without_udp_and_tell_a_stranger_nothing(
    networks: Networks, machines: Machines
) -> None:
    (machines.folder / "job.toml").write_text(JOB)
    run = RunDir(machines.folder / contract.RUN_DIR_DEFAULT / "job")
    typed = code(machines.done(0, "up", "--no-announce"))
    assert "by TCP" not in machines.done(1, "join", typed)
    networks.udp(1, passes=False)
    assert "by TCP" in machines.done(2, "join", typed)
    assert by(machines) == ["udp", "udp", "tcp"]
    assert machines.done(0, "nodes").count("by TCP, slower") == 1
    _check_closed(networks, machines)

    machines.done(0, "run", "job.toml", "--on", "pool", "--detach")
    until(lambda: _trained(run, 3) >= 20, "all three do not train")
    seen = _stranger(networks)
    pool = json.loads(machines.state(0, "pool.json").read_text())
    assert (seen["tcp"], seen["udp"]) == ([pool["port"]], [])
    assert " 404 " in seen["https"].splitlines()[0]
    assert "nothing is here" in seen["https"]

    networks.udp(0, passes=False)
    networks.udp(1, passes=True)
    until(lambda: by(machines) == ["udp", "tcp", "udp"], "they do not turn")
    here = last_step(run)
    until(lambda: _trained(run, 3) > here + 20, "they do not go on")
    machines.done(0, "stop")
    assert check_steps(run) == last_step(run)
    machines.done(0, "down")


def test_a_run_goes_on_when_its_pools_machine_has_got_another_address(
    networks: Networks, tmp_path: Path
) -> None:
    """As of a router that was restarted. The other machine finds it on the LAN."""
    machines = Machines(tmp_path, {0: networks.head.inside, 1: networks.stranger.inside})
    (machines.folder / "job.toml").write_text(JOB)
    run = RunDir(machines.folder / contract.RUN_DIR_DEFAULT / "job")
    try:
        machines.done(1, "join", code(machines.done(0, "up", "--network", "host")))
        machines.done(0, "run", "job.toml", "--on", "pool", "--detach")
        until(lambda: _trained(run, 2) >= 20, "the two do not train")
        formed, here = len(events(run, GenerationFormed)), last_step(run)
        networks.head.do("ip", "address", "del", f"{HEAD}/24", "dev", "eth0")
        networks.head.do("ip", "address", "add", f"{ELSEWHERE}/24", "dev", "eth0")
        until(lambda: len(events(run, GenerationFormed)) > formed, "nobody notices")
        until(lambda: _trained(run, 2) > here + 20, "they do not meet again")
        first, _, anew = json.loads(run.plan_file.read_text())["agents"]
        assert first["machine"] == anew["machine"]
        machines.done(0, "stop")
        assert check_steps(run) == last_step(run)
        machines.done(0, "down")
    finally:
        machines.end()


def _check_closed(networks: Networks, machines: Machines) -> None:
    """Those in the mesh reach of each other what the pool needs, and nothing else."""
    own = [door.rpartition(":")[0] for door in machines.states("mesh").values()][1]
    serves, asks = networks.behind[0], (networks.behind[0], networks.head)
    with subprocess.Popen(
        [*serves.inside, sys.executable, "-c", SERVE], stdout=subprocess.PIPE
    ) as service:
        try:
            assert service.stdout is not None
            service.stdout.readline()
            commands = [(*place.inside, sys.executable, "-c", ASK, own) for place in asks]
            done = [subprocess.run(each, capture_output=True, check=False) for each in commands]
        finally:
            service.kill()
    assert [each.returncode == 0 for each in done] == [True, False]
    assert b"timed out" in done[1].stderr


def by(machines: Machines) -> list[str]:
    return [*machines.states("mesh_by").values()]


def _trained(run: RunDir, machines: int) -> int:
    """The last step, if so many machines made it."""
    formed = events(run, GenerationFormed) if run.db.exists() else []
    return last_step(run) if formed and len(formed[-1].ranks) == machines else 0


def _stranger(networks: Networks) -> dict[str, Any]:
    command = [*networks.stranger.inside, sys.executable, "-c", LOOK, HEAD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return dict(json.loads(done.stdout))
