"""How other machines get in: the lines that are printed."""

from __future__ import annotations

from evener.cli import invitation
from evener.cli.main import BY_NAME


def test_the_line_for_an_engine_gives_no_rights_and_is_one_that_evener_takes() -> None:
    line = invitation.docker_line("AB-CD", "evener:1")
    assert {"--cap-drop=ALL", "--user=65534:65534", "--network=host"} <= {*line}
    assert not [word for word in line if "privileged" in word and "no-new" not in word]
    verb, *arguments = line[line.index("evener") + 1 :]
    assert verb == "join"
    BY_NAME[verb].load().make_context("evener join", arguments)


def test_a_picture_is_drawn_where_it_can_be_shown() -> None:
    assert len(invitation.picture("evener join 45ZG0-001MH").splitlines()) > 10
    assert invitation._can_draw("utf-8")
    assert not invitation._can_draw("ascii")
    assert not invitation._can_draw("cp1252")
