"""The head steps aside, and takes nobody of its session with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evener.head import aside


@pytest.mark.skipif(not hasattr(os, "nice"), reason="no order of processes on this system")
@pytest.mark.parametrize("leads", [True, False])
def test_it_goes_behind_alone_or_with_the_session_it_leads(tmp_path: Path, leads: bool) -> None:
    group = tmp_path / "autogroup"
    group.write_text("/autogroup-7 nice 2\n")
    code = (
        "import os, sys, pathlib; from evener.head import aside;"
        "aside.step_aside(pathlib.Path(sys.argv[1])); print(os.nice(0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, group],
        start_new_session=leads,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == min(os.nice(0) + aside.NICE, aside.LOWEST)
    assert group.read_text().split()[-1] == ("7" if leads else "2")
