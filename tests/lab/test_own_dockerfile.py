"""An image from a Dockerfile of the user's own: built where it lies, tried before it is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener import errors
from evener.config.schema import Image
from evener.docker import Engine
from evener.image import build
from evener.image.build import Content
from tests.lab.engine import BASE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_evener_is_put_on_top_of_what_the_user_makes(
    tmp_path: Path, docker_host: str, wheels: Path
) -> None:
    engine = Engine(("docker", "-H", docker_host))
    ours = Content(Image(wheels=str(wheels)), "cpu")
    build.ensure(engine, ours, print)
    libraries = build.recipes(ours)[0].tag
    (tmp_path / "said.txt").write_text("hello\n")
    dockerfile = tmp_path / "Dockerfile"
    own = Content(Image(dockerfile=str(dockerfile)), "cpu")

    dockerfile.write_text(f"FROM {BASE}\nCOPY said.txt /\n")
    with pytest.raises(errors.ImageUnfit, match="No module named 'torch'"):
        build.ensure(engine, own, print)
    assert not [each for each in build.built(engine) if each["tag"] == build.recipes(own)[1].tag]

    dockerfile.write_text(
        f'FROM {libraries}\nCOPY said.txt /\nUSER nobody\nENTRYPOINT ["/bin/false"]\n'
    )
    tag = build.ensure(engine, own, print)
    assert engine.call("run", "--rm", tag, "cat", "/said.txt") == "hello\n"
    (tmp_path / "said.txt").write_text("hello again\n")
    assert build.ensure(engine, own, print) == tag
    assert engine.call("run", "--rm", tag, "cat", "/said.txt") == "hello again\n"
    left = engine.call("image", "ls", "--quiet", "--filter=dangling=true")
    assert left == ""


def test_a_dockerfile_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.DataMissing, match="cannot be read"):
        build.recipes(Content(Image(dockerfile=str(tmp_path / "Dockerfile")), "cpu"))
