"""How other machines get in: the lines that are printed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from evener.cli import invitation
from evener.cli.main import BY_NAME
from evener.image.parcel import Label


def test_the_line_for_an_engine_gives_no_rights_and_is_one_that_evener_takes() -> None:
    [line] = invitation.docker_lines("AB-CD", "evener:1", "")
    assert {"--cap-drop=ALL", "--user=65534:65534", "--network=host"} <= {*line}
    assert not [word for word in line if "privileged" in word and "no-new" not in word]
    verb, *arguments = line[line.index("evener") + 1 :]
    assert verb == "join"
    BY_NAME[verb].load().make_context("evener join", arguments)


TOKEN = {"expires_at": 2e9, "uses": 1}
IMAGE = Label("evener:0f3a5c8e2b71", "sha256:i", "amd64", "0.1.0", "2.13.0+cu130")


@pytest.mark.parametrize(
    ("image", "handed_on", "told"),
    [
        (None, IMAGE, "--gpus=all"),
        (None, replace(IMAGE, torch="2.13.0+cpu"), "no GPU"),
        ("ghcr.io/me/evener:1", replace(IMAGE, torch="2.13.0+cpu"), "--gpus=all"),
        ("evener:1", None, "--gpus=all"),
        (None, None, None),
    ],
)
def test_what_a_machine_with_gpus_is_to_type(
    image: str | None,
    handed_on: Label | None,
    told: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    invitation.show(TOKEN, "AB-CD", image, handed_on)
    shown = capsys.readouterr().out
    assert ("docker run" in shown) == (told is not None)
    assert (told or "") in shown


def test_lines_for_other_machines_mean_the_same_to_every_shell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """sh, PowerShell and cmd: no quotes, no variables, nothing that one of them splits or joins."""
    invitation.show(TOKEN, "AB-CD", "ghcr.io/me/evener:1", IMAGE)
    invitation.show_image("evener:1", "AB-CD", "10.0.0.1:7077")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
    lines = [line for line in lines if "  #" not in line]  # what follows is for the reader
    assert len(lines) == 3
    for word in " ".join(lines).split():
        assert re.fullmatch(r"(?:--?)?[A-Za-z0-9][A-Za-z0-9_./:=-]*", word), word
        assert word.startswith("--") or not re.match(r"-.*[.:]", word), word  # PowerShell cuts it


def test_a_picture_is_drawn_where_it_can_be_shown() -> None:
    assert len(invitation.picture("evener join 45ZG0-001MH").splitlines()) > 10
    assert invitation._can_draw("utf-8")
    assert not invitation._can_draw("ascii")
    assert not invitation._can_draw("cp1252")
