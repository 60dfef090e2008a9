"""What the interface answers: the record, in bounded pieces, and a line for what is wrong."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener.dashboard import openapi
from evener.rundir import checkpoints, layout
from tests.dashboard.pages import Client, Played, knowing, played
from tests.synthetic_run import Script

SCRIPT = Script(steps=200, ranks=3)
ONE = "/api/runs/demo"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Played]:
    with played(tmp_path, SCRIPT) as run:
        yield run


@pytest.fixture
def client(run: Played) -> Client:
    return knowing(run)


def test_the_list_of_runs(client: Client) -> None:
    (listed,) = client.get("/api/runs").json()["runs"]
    assert listed["name"] == "demo"
    assert (listed["phase"], listed["step"], listed["ranks"]) == ("finished", 200, 3)
    assert listed["validation_loss"] > 0
    assert listed["size_bytes"] > 10_000
    assert listed["live"] is False


def test_the_state(client: Client, run: Played) -> None:
    told = client.get(f"{ONE}/state").json()
    assert told["step"] == 200
    assert len(told["ranks"]) == 3
    assert (told["live"], told["acts"]) == (False, False)
    assert "loss_tail" not in told
    run.live = True
    assert client.get(f"{ONE}/state").json()["acts"] is True


def test_series_keep_every_step_of_a_short_run(client: Client) -> None:
    asked = [("name", "loss"), ("name", "validation.loss"), ("name", "nobody's")]
    told = client.get(f"{ONE}/series", params=asked).json()
    loss = told["series"]["loss"]
    assert loss["step"] == list(range(1, 201))
    assert loss["exact"] is True
    assert loss["low"] == loss["high"] == loss["mean"]
    assert loss["samples"] == [96 * step for step in loss["step"]]
    assert told["series"]["validation.loss"]["step"] == [100, 200]
    assert told["series"]["nobody's"]["step"] == []
    assert {"loss", "lr", "validation.loss"} <= set(told["names"])


def test_series_of_a_part(client: Client) -> None:
    asked = {"name": "loss", "first": 50, "last": 60, "points": 5}
    loss = client.get(f"{ONE}/series", params=asked).json()["series"]["loss"]
    assert 1 <= len(loss["step"]) <= 6
    assert loss["step"][-1] == 60
    assert all(50 <= step <= 60 for step in loss["step"])


def test_timings_by_rank(client: Client) -> None:
    told = client.get(f"{ONE}/timings", params={"points": 50}).json()
    assert set(told["ranks"]) == {"0", "1", "2"}
    columns = told["ranks"]["0"]
    assert set(told["fields"]) <= set(columns)
    assert len({len(column) for column in columns.values()}) == 1
    assert len(columns["step"]) <= 64


def test_the_timeline_tells_a_death_and_the_return(client: Client) -> None:
    items = client.get(f"{ONE}/timeline").json()["items"]
    assert [i["seq"] for i in items] == sorted(i["seq"] for i in items)
    texts = [i["text"] for i in items]
    assert any("rank 2 lost" in text for text in texts)
    assert any("go on after" in text and "0 steps lost" in text for text in texts)
    (lost,) = [i for i in items if i["kind"] == "RankLost"]
    assert (lost["level"], lost["rank"]) == ("warning", 2)
    before = client.get(f"{ONE}/timeline", params={"before": lost["seq"], "limit": 3}).json()
    assert all(i["seq"] < lost["seq"] for i in before["items"])


def test_the_job_and_its_plan(client: Client, run: Played) -> None:
    layout.write_json(run.run.job_file, {"v": 1, "model": {"name": "gpt"}})
    told = client.get(f"{ONE}/job").json()
    assert told["job"]["model"]["name"] == "gpt"
    assert told["plan"] is None


def test_pieces_of_a_log(client: Client, run: Played) -> None:
    log = run.run.rank_log(0)
    log.write_text("first\nä second\nthe third SECOND\n", "utf-8")
    (run.run.logs / "rank_10.log").write_text("x")
    (run.run.logs / "rank_2.log").write_text("x")
    (run.run.configs / "secret").write_text("hidden")
    names = [each["name"] for each in client.get(f"{ONE}/logs").json()["logs"]]
    assert names == ["rank_0.log", "rank_2.log", "rank_10.log"]
    end = client.get(f"{ONE}/logs/rank_0.log", params={"from": -7}).json()
    assert (end["text"], end["to"]) == ("SECOND\n", log.stat().st_size)
    cut = client.get(f"{ONE}/logs/rank_0.log", params={"bytes": 7}).json()
    assert (cut["text"], cut["to"]) == ("first\n", 6)  # not half of a character
    found = client.get(f"{ONE}/logs/rank_0.log", params={"find": "second"}).json()
    assert [each["line"] for each in found["matches"]] == ["ä second", "the third SECOND"]
    for name in ("secret", "../configs/secret", "..%2fconfigs%2fsecret", "rank_7.log", ".reserve"):
        assert client.get(f"{ONE}/logs/{name}").status_code in (404, 405)


def test_a_checkpoint_to_take_away(client: Client, run: Played) -> None:
    folder = checkpoints.folder_of(run.run.checkpoints, 50)
    folder.mkdir()
    written = {"model.safetensors": bytes(range(256)) * 3000, "state.json": b"{}"}
    for name, data in written.items():
        (folder / name).write_bytes(data)
    assert client.get(f"{ONE}/checkpoints/50").status_code == 404  # it is not committed
    commit(folder, 50)
    answer = client.get(f"{ONE}/checkpoints/50")
    assert answer.headers["content-disposition"] == 'attachment; filename="step-00000050.tar"'
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as found:
        for name, data in written.items():
            member = found.extractfile(f"step-00000050/{name}")
            assert member is not None
            assert member.read() == data


def commit(folder: Path, step: int) -> None:
    import hashlib

    files = {
        p.name: {
            "size_bytes": p.stat().st_size,
            "sha256": hashlib.sha256(p.read_bytes()).hexdigest(),
        }
        for p in folder.iterdir()
    }
    text = json.dumps({"format": checkpoints.FORMAT, "step": step, "files": files}).encode()
    (folder / checkpoints.MANIFEST).write_bytes(text)
    (folder / checkpoints.COMMIT).write_text(hashlib.sha256(text).hexdigest())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/runs/other/state", 404),
        (f"{ONE}/series?points=1", 400),
        (f"{ONE}/series?points=x", 400),
        (f"{ONE}/series?first=99999999999999999999", 400),
        (f"{ONE}/series?" + "&".join(f"name=n{i}" for i in range(65)), 400),
        (f"{ONE}/timeline?limit=9999", 400),
        (f"{ONE}/timeline?before=-1", 400),
        (f"{ONE}/logs/rank_9.log", 404),
        (f"{ONE}/checkpoints/x", 400),
        (f"{ONE}/checkpoints/77", 404),
        ("/api/nothing", 404),
    ],
)
def test_what_is_wrong_is_said_in_one_line(client: Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert "\n" not in answer.json()["error"]


def test_a_run_that_is_over_is_asked_for_nothing(client: Client, run: Played) -> None:
    assert client.post(f"{ONE}/stop").status_code == 409
    run.live = True
    assert client.post(f"{ONE}/dance").status_code == 404
    assert run.asked == []


def test_pages_and_their_files(client: Client) -> None:
    for path in ("/", "/runs/demo/"):
        page = client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "{{" not in page.text
    for file in ("style.css", "run.js", "vendor/uplot/uPlot.js", "vendor/uplot/LICENSE"):
        assert client.get(f"/static/{file}").status_code == 200
    assert client.get("/runs/other/").status_code == 404


def test_the_description_names_every_route(client: Client) -> None:
    assert client.get("/openapi.json").json() == openapi.DESCRIPTION
    described = set(openapi.DESCRIPTION["paths"])
    assert {"/api/runs", "/metrics", "/api/runs/{name}/stop"} <= described


def test_metrics_for_prometheus(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'evener_step{run="demo"} 200' in answer.text
