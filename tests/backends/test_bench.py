"""A bench wherever runs are: it measures every machine of the place, and leaves its file alone."""

from __future__ import annotations

import pytest

from evener.rundir import measured
from tests.backends.places import CONTAINED
from tests.backends.shell import Shell, said

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("place", CONTAINED, indirect=True)
def test_a_bench_leaves_profiles_of_every_machine_and_nothing_else(shell: Shell) -> None:
    job = shell.write_job()
    done = shell.evener("bench", job, "--on", shell.place.name)
    assert done.returncode == 0, said(done)
    known = measured.read(shell.folder / "profiles.json")
    assert [r.rank for r in known.ranks] == [0, 1]
    assert {r.machine for r in known.ranks} == {m.name for m in known.machines}
    assert {(k.from_rank, k.to_rank) for k in known.links} == {(0, 1), (1, 0)}
    assert not (shell.folder / "experiments").exists()
    shell.await_nothing_left()
    planned = shell.evener(
        "run", job, "--on", shell.place.name, "--profiles", "profiles.json", "--dry-run"
    )
    assert planned.returncode == 0, said(planned)
