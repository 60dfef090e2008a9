"""An agent with a disk of its own: what it needs comes, what it writes is brought home."""

from __future__ import annotations

import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engine.rehearsal import job
from tests.head.serving import SECRET, in_thread
from tests.rundir.test_checkpoints import make

from evener import contract
from evener.agent.courier import Courier
from evener.contract import AgentEnv
from evener.errors import StartFailed
from evener.events import Alert, CheckpointHome, Event
from evener.rundir import cargo, checkpoints, freight
from evener.rundir.layout import RunDir


@pytest.fixture
def home(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "home" / "demo")
    run.create()
    run.job_file.write_text(job(checkpoint={"keep_last": 2}).model_dump_json())
    run.plan_file.write_text("{}")
    return run


def sent(tmp_path: Path, head: str, life: int = 0, **given: Any) -> tuple[RunDir, Courier]:
    """A machine's own folder, empty in each life, and its courier."""
    run = RunDir(tmp_path / f"life {life}" / "demo")
    env = AgentEnv(str(run.path), SECRET, "a01", 1, 1, head, apart=1)
    return run, Courier(env, run, **given)


def test_what_was_decided_and_the_newest_checkpoint_come(home: RunDir, tmp_path: Path) -> None:
    for step in (3, 5):
        make(home.checkpoints, step)
    with in_thread(home) as head:
        run, own = sent(tmp_path, head)
        own.fetch()
        assert run.job_file.read_text() == home.job_file.read_text()
        assert [checkpoints.verify(e.path).step for e in checkpoints.entries(run.checkpoints)] == [
            5
        ]


def test_a_damaged_checkpoint_is_not_taken_and_the_one_before_it_is(
    home: RunDir, tmp_path: Path
) -> None:
    make(home.checkpoints, 3)
    (make(home.checkpoints, 5) / "model.safetensors").write_bytes(b"weights of 6")
    with in_thread(home) as head:
        run, own = sent(tmp_path, head)
        own.fetch()
    assert [e.step for e in checkpoints.entries(run.checkpoints)] == [3]


def test_what_is_written_comes_home_as_it_grows(home: RunDir, tmp_path: Path) -> None:
    heard: list[Event] = []
    with in_thread(home) as head:
        run, own = sent(tmp_path, head)
        own.fetch()
        own.watch(heard.append, lambda: head)
        own.close()
        run.rank_log(1).write_bytes(b"one\n")
        own.finish()
        with run.rank_log(1).open("ab") as file:
            file.write(b"two\n" * 3_000_000)  # more than a piece
        make(run.checkpoints, 9)
        own.finish()
        run.export_file.write_bytes(b"weights")
        own.finish()
    assert home.rank_log(1).read_bytes() == run.rank_log(1).read_bytes()
    assert checkpoints.verify(checkpoints.folder_of(home.checkpoints, 9)).step == 9
    assert home.export_file.read_bytes() == b"weights"
    assert heard == [CheckpointHome(9, "a01")]


def test_what_another_life_has_brought_is_followed_not_written_over(
    home: RunDir, tmp_path: Path
) -> None:
    with in_thread(home) as head:
        for life, words in enumerate((b"first\n", b"second\n", b"third\n")):
            run, own = sent(tmp_path, head, life)
            own.fetch()
            run.rank_log(1).write_bytes(words)
            own.finish()
    assert home.rank_log(1).read_bytes() == b"first\nsecond\nthird\n"


def test_a_log_that_was_shortened_at_home_grows_on(home: RunDir, tmp_path: Path) -> None:
    with in_thread(home) as head:
        run, own = sent(tmp_path, head)
        own.fetch()
        run.rank_log(1).write_bytes(b"first ")
        own.finish()
        home.rank_log(1).write_bytes(b"")
        with run.rank_log(1).open("ab") as file:
            file.write(b"second")
        own.finish()
    assert home.rank_log(1).read_bytes() == b"second"


def test_a_head_that_had_to_move_gets_all_of_it_again(home: RunDir, tmp_path: Path) -> None:
    with in_thread(home) as head:
        run, own = sent(tmp_path, head)
        own.fetch()
        run.rank_log(1).write_bytes(b"one\n")
        make(run.checkpoints, 9)
        own.finish()
    elsewhere = RunDir(tmp_path / "elsewhere" / "demo")
    elsewhere.create()
    elsewhere.job_file.write_bytes(home.job_file.read_bytes())
    own.finish()  # in vain
    with in_thread(elsewhere, port=int(head.rpartition(":")[2])):
        own.finish()
    assert elsewhere.rank_log(1).read_bytes() == b"one\n"
    assert checkpoints.verify(checkpoints.folder_of(elsewhere.checkpoints, 9)).step == 9


def test_what_is_damaged_where_it_was_written_stays_there(
    home: RunDir, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []
    with in_thread(home) as head:
        run, own = sent(tmp_path, head)
        own.fetch()
        own.watch(heard.append, lambda: head)
        own.close()
        (make(run.checkpoints, 5) / "model.safetensors").write_bytes(b"weights of 6")
        make(run.checkpoints, 9)
        for _ in range(2):
            own.finish()
    assert heard == [CheckpointHome(9, "a01")]
    assert [r.getMessage() for r in caplog.records if r.name == "evener.agent"] == [
        "the checkpoint step-00000005 is damaged: model.safetensors has other bytes than were "
        "written; it stays here"
    ]


def test_a_head_that_is_away_is_waited_for_and_then_named(home: RunDir, tmp_path: Path) -> None:
    with in_thread(home) as head:
        pass
    _, own = sent(tmp_path, head, patience_s=0.05)
    with pytest.raises(StartFailed, match="could not be fetched") as caught:
        own.fetch()
    assert head in caught.value.where
    own.finish()  # in vain, but it comes back


def test_where_the_folder_is_shared_nothing_travels(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    own = Courier(AgentEnv(str(run.path), SECRET, "a01", 1, 1, "127.0.0.1:1"), run)
    own.fetch()
    own.watch(lambda _: None, lambda: "")
    own.finish()
    own.close()
    assert list(tmp_path.iterdir()) == []


def test_every_name_that_is_fetched_may_be(home: RunDir) -> None:
    make(home.checkpoints, 3)
    told = freight.listing(home)
    files = [name for names in told["checkpoints"].values() for name in names]
    for name in (*told["configs"], *files):
        assert freight.to_send(home, name) is not None
    assert contract.SECRET_NAME not in str(told)


def test_data_go_on_from_where_they_broke_off(
    home: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(contract.CACHE_VARIABLE, str(tmp_path / "cache"))
    text = tmp_path / "text.txt"
    text.write_bytes(b"one " * 2_000_000)
    cargo.pack(home, (), (str(text),))
    [tar] = home.cargo.glob("*.tar")
    whole = tar.read_bytes()
    with in_thread(home) as head:
        for life, came in enumerate((whole[:5_000_001], whole, b"")):
            run, own = sent(tmp_path, head, life)
            beside = run.cargo / f".{tar.name}.fetched"
            if came:
                beside.parent.mkdir(parents=True)
                beside.write_bytes(came)
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)
            own.fetch()
            [unpacked] = (tmp_path / "cache").rglob("text.txt")
            assert unpacked.read_bytes() == text.read_bytes()


def test_what_a_script_writes_is_on_every_machine_it_starts_on(
    home: RunDir, tmp_path: Path
) -> None:
    home.work.mkdir()
    (home.work / "train.py").write_text("print(1)")
    with tarfile.open(home.code_file, "w:gz") as packed:
        packed.add(home.work / "train.py", "train.py")
    with in_thread(home) as head:
        one, first = sent(tmp_path, head)
        two, second = sent(tmp_path, head, life=1)
        for each in (first, second):
            each.fetch()
            each.follow(("data/",))
            each.watch(lambda _: None, lambda: head)
        assert (two.work / "train.py").read_text() == "print(1)"
        (one.work / "deep").mkdir()
        (one.work / "deep" / "step.pt").write_bytes(b"weights" * 9)
        (one.work / "empty").touch()
        (one.work / "data").mkdir()
        (one.work / "data" / "large").write_text("stays")
        done(first.exchange(fetch=False))
        done(second.exchange(fetch=True))
        assert (two.work / "deep" / "step.pt").read_bytes() == b"weights" * 9
        assert (two.work / "empty").read_bytes() == b""
        assert not (home.work / "data").exists()
        (two.work / "deep" / "step.pt").write_bytes(b"newer")
        done(second.exchange(fetch=True))
        done(first.exchange(fetch=True))
        assert (one.work / "deep" / "step.pt").read_bytes() == b"newer"
        first.close()
        second.close()


def test_what_others_wrote_is_at_hand_when_the_head_is_lost(home: RunDir, tmp_path: Path) -> None:
    often = {"look_s": 0.05, "ahead_s": 0.0}
    heard: list[Event] = []
    with in_thread(home) as head:
        one, first = sent(tmp_path, head, 0, **often)
        two, second = sent(tmp_path, head, 1, **often)
        for each, run in ((first, one), (second, two)):
            each.fetch()
            run.work.mkdir()
            each.follow(())
            each.watch(heard.append, lambda: head)
        (one.work / "step.pt").write_bytes(b"weights")
        (one.work / "log").write_text("of one")
        done(first.exchange(fetch=False))
        (two.work / "log").write_text("of two")
        done(second.exchange(fetch=False))
        done((two.path / ".ahead" / "step.pt").is_file)
        first.close()
    assert not (two.work / "step.pt").exists()  # the script is running there
    done(second.exchange(fetch=True))
    assert (two.work / "step.pt").read_bytes() == b"weights"
    second.close()
    [told] = heard
    assert isinstance(told, Alert)
    assert told.text.startswith("agent a01: log is written here and on another machine")


def done(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["work@a01/../run.db", "work@a01//etc/passwd", "work@a01/a/../b"])
def test_nothing_lands_outside_of_the_scripts_folder(home: RunDir, name: str) -> None:
    assert not freight.takes(name)
    assert freight.to_send(home, name.replace("@a01", "")) is None
