"""`evener dashboard`: what it opens, and one message for what it cannot."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from evener.cli import main
from tests.dashboard.pages import shown
from tests.synthetic_run import Script, records, run_with


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main.main(["dashboard", "--no-open", *words])
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return status, " ".join(said.err.split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run_with(tmp_path, records(Script(steps=20, ranks=1)), "demo")
    return tmp_path


def test_a_run_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = refused(capsys, "dem", "--dir", str(folder))
    assert status == 5
    assert "did you mean 'demo'" in said


def test_a_folder_without_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = refused(capsys, "--dir", str(tmp_path))
    assert (status, "E401" in said) == (5, True)


def test_a_port_that_is_taken(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        status, said = refused(capsys, "--dir", str(folder), "--port", port)
    assert (status, "E507" in said) == (6, True)
    assert f"port {port} is taken" in said


def test_an_address_that_is_not_this_machines(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = refused(capsys, "--dir", str(folder), "--host", "192.0.2.1")
    assert (status, "E107" in said) == (2, True)
    assert "192.0.2.1" in said


@pytest.mark.slow
def test_runs_of_a_folder_are_served_until_ctrl_c(folder: Path) -> None:
    with shown(folder) as address:
        opened = httpx.get(address, follow_redirects=True)
        assert opened.status_code == 200
        place, _, key = address.partition("/?key=")
        found = httpx.get(f"{place}/api/runs", headers={"Authorization": f"Bearer {key}"})
        assert [run["name"] for run in found.json()["runs"]] == ["demo"]
