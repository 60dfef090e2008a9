"""The server of `evener dashboard`: how it ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from evener.dashboard.source import Listed
from evener.viewer.folder import Folder
from evener.viewer.serve import listening, serve


class Slow(Folder):
    """Its list is not ready before it is let go."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.go_on = threading.Event(), threading.Event()

    def states(self) -> list[Listed]:
        self.asked.set()
        assert self.go_on.wait(30)
        return []


@contextmanager
def beside(job: threading.Thread) -> Iterator[None]:
    job.start()
    yield
    job.join()


def test_ctrl_c_lets_a_request_under_way_be_answered(tmp_path: Path) -> None:
    answers: list[int] = []
    with Slow(tmp_path) as folder, listening("127.0.0.1", 0, exactly=True) as door:
        address = f"http://127.0.0.1:{door.getsockname()[1]}/api/runs"

        def ask() -> None:
            answers.append(httpx.get(address, headers={"Authorization": "Bearer key"}).status_code)

        def interrupt() -> None:
            assert folder.asked.wait(30)
            os.kill(os.getpid(), signal.SIGINT)
            folder.go_on.set()

        with beside(threading.Thread(target=ask)), beside(threading.Thread(target=interrupt)):
            serve(folder, "key", door)
    assert answers == [200]
