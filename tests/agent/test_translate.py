"""What agents say to each other survives the wire; what they do not say is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener import orders
from evener.agent import translate
from evener.agent.translate import Away, Idle, Letter, Over, Return, Stop, Stumbled
from evener.config.schema import Membership as MembershipConfig
from evener.membership import words
from evener.membership.generation import Ballot, Generation, Member

BALLOT = Ballot(3, "a01")
MEMBER = Member("a00", 0, 2, "127.0.0.1", 4000)
GENERATION = Generation(BALLOT, (MEMBER, Member("a01", 1, 0, "127.0.0.1", 4001)), 7, 0)
LETTERS: list[Letter] = [
    words.Heartbeat("a00", BALLOT, None, -1, False),
    words.Heartbeat("a00", BALLOT, BALLOT, 7, True, ("a00",), met=True),
    words.Plea("a00", "a rank is up", True),
    words.Prepare("a01", BALLOT, False),
    words.Ready("a00", BALLOT, (words.Standing(MEMBER, 7),), GENERATION, ("a02",)),
    words.Ready("a00", BALLOT, (words.Standing(MEMBER, -1, parked=True),), None),
    words.Ready("a00", BALLOT, (), None),
    words.Go("a01", GENERATION),
    words.Go("a01", Generation(BALLOT, (MEMBER,), 7, 0, parked=GENERATION.members[1:])),
    words.Refused("a00", BALLOT),
    words.Goodbye("a00", True),
    Stop("a00", "SIGTERM"),
    Away("a00"),
    Return("a00", (1, 3)),
    Stumbled("a00", "E303", "train.py:7"),
    Idle("a00"),
    Over("a00", "failed", 7, "why", {"code": "E601"}, at_once=True, recorded=True),
    Over("a00", "finished", 7),
]


@pytest.mark.parametrize("letter", LETTERS, ids=lambda x: type(x).__name__)
def test_a_letter_survives_the_wire(letter: Letter) -> None:
    assert translate.from_frame(json.loads(json.dumps(translate.to_frame(letter)))) == letter


def test_what_a_newer_version_adds_is_ignored() -> None:
    frame = translate.to_frame(words.Goodbye("a00", True)) | {"mood": "cheerful"}
    assert translate.from_frame(frame) == words.Goodbye("a00", True)


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"say": "Tick"},
        {"say": "Goodbye"},
        {"say": "Goodbye", "sender": "a00"},
        {"say": "Goodbye", "sender": 1, "done": True},
        {"say": "Goodbye", "sender": "a00", "done": 1},
        {"say": "Refused", "sender": "a00", "promised": 3},
        {"say": "Refused", "sender": "a00", "promised": {"number": True, "agent": "a"}},
        {"say": "Refused", "sender": "a00", "promised": {"number": 3}},
        {"say": "Ready", "sender": "a", "ballot": {}, "standings": {}, "last": None},
        {"say": "Over", "sender": "a", "outcome": "failed", "step": 1, "error": []},
    ],
)
def test_what_no_agent_says_is_refused(frame: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"no agent says|not of type|is no |malformed"):
        translate.from_frame(frame)


@pytest.mark.parametrize(
    ("order", "meaning"),
    [
        (orders.Halted(BALLOT, 5), words.RankHalted(1, 2, BALLOT, 5)),
        (orders.Formed(BALLOT, 5), words.RankFormed(1, 2, BALLOT, 5)),
        (orders.Broken(BALLOT, "reset"), words.RankBroken(1, 2, BALLOT)),
        (orders.Parked(BALLOT), words.RankParked(1, 2, BALLOT)),
        (orders.Progress(6), words.RankProgress(1, 2, 6)),
        (orders.Unparked(), None),  # its agent knows which member that is
        (orders.Recall((1,)), None),
        (orders.Report(()), None),
        (orders.Wind("stop"), None),
    ],
)
def test_what_a_rank_says_reaches_membership(
    order: orders.Order, meaning: words.Input | None
) -> None:
    assert translate.to_input(order, rank=1, life=2) == meaning


def test_the_jobs_seconds_become_memberships_settings() -> None:
    found = translate.settings(MembershipConfig(heartbeat_s=0.25, dead_s=2, form_s=9))
    assert (found.heartbeat_s, found.dead_s, found.form_s) == (0.25, 2.0, 9.0)
    assert found.join_s == MembershipConfig().join_s


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
FIELDS = sorted({name for letter in LETTERS for name in translate.to_frame(letter)} - {"say"})


@given(
    st.sampled_from(sorted({type(letter).__name__ for letter in LETTERS})),
    st.dictionaries(st.sampled_from(FIELDS), JSON),
)
def test_whatever_is_sent_is_read_or_refused(say: str, fields: dict[str, object]) -> None:
    """By whom ever knows the secret, of whichever version: a ValueError drops the connection."""
    try:
        letter = translate.from_frame({"say": say} | fields)
    except ValueError:
        return
    assert translate.from_frame(json.loads(json.dumps(translate.to_frame(letter)))) == letter
