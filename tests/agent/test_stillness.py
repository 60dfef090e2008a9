"""Where ranks stand, read from the stacks that faulthandler writes."""

from __future__ import annotations

from evener.agent.stillness import _told, place_in

STACKS = """\
step 3: loss 1.0
Thread 0x00007f1 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait
  File "train.py", line 3 in background

Current thread 0x00007f2 (most recent call first):
  File "/venv/lib/python3.11/site-packages/torch/distributed/distributed_c10d.py", line 9 in barrier
  File "train.py", line 41 in save
  File "train.py", line 60 in <module>
  File "/site/evener/engine/torchrun.py", line 55 in _run
"""


def test_the_scripts_own_line_is_named_and_what_it_calls_there() -> None:
    assert place_in(STACKS) == "at train.py:41, in barrier"
    assert place_in("") == "where its system does not tell"


def test_who_stands_alone_is_named_first() -> None:
    places = {0: "at a.py:1", 1: "at a.py:9", 2: "at a.py:1"}
    assert _told(places) == "rank 1 stands at a.py:9; ranks 0, 2 stand at a.py:1"
