"""What a person wants of a run reaches its head, or it is said that it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.head import serving

from evener import errors, events
from evener.events import Record, RunEnded
from evener.launch import wishes
from evener.launch.base import HeadPlace


def test_a_head_passes_it_on_until_the_run_has_ended(tmp_path: Path) -> None:
    run = serving.made(tmp_path)
    with serving.in_thread(run) as address:
        place = HeadPlace(address, serving.SECRET)
        wishes.ask(run, place, "checkpoint")
        wishes.ask(run, place, "stop")
        _, told = serving.post(address, {"events": []})
        assert [what for _, what in told["asks"]] == ["checkpoint", "stop"]
        with pytest.raises(errors.RunVanished, match="401"):
            wishes.ask(run, HeadPlace(address, "another secret"), "stop")
        end = events.to_dict(Record(RunEnded("finished", 7), 1.0, "a00", 1))
        serving.ask(address, "POST", "/v1/events", json.dumps({"events": [end]}).encode())
        with pytest.raises(errors.RunVanished, match="nobody hears it"):
            wishes.ask(run, place, "stop")
    with pytest.raises(errors.RunVanished, match=address) as caught:
        wishes.ask(run, place, "stop")
    assert "--now" in caught.value.fix
