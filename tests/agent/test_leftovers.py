"""Which processes outlive the script that has started them."""

from __future__ import annotations

import os
import subprocess
import sys

from evener import contract
from evener.agent import leftovers


def test_what_goes_on_in_a_session_of_its_own_is_named() -> None:
    env = {**os.environ, contract.SCRIPT_VARIABLE: "/a run"}
    command = (sys.executable, "-c", "import sys; sys.stdin.read()")
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, start_new_session=True) as one:
        told = leftovers.alert("/a run", ())
        assert told is not None
        assert told.text.endswith(f"({one.pid}); kill {one.pid}")
        assert leftovers.alert("/a run", {one.pid}) is None  # the agent ends it
        assert leftovers.alert("/another", ()) is None
