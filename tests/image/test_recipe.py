"""What goes into an image, and that its tag says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener import errors
from evener.config.schema import Image
from evener.image import recipe
from evener.image.build import PINS, Content, recipes
from tests.image import pinned

PLAIN = """\
# Python's environment is made in a stage of its own: wheels do not stay in the image.
FROM python:3.11-slim AS made
LABEL dev.evener.stage=made
COPY pins.txt /tmp/pins.txt
RUN python3 -m venv /opt/evener && \\
    /opt/evener/bin/pip install --no-cache-dir --disable-pip-version-check -c /tmp/pins.txt \
--extra-index-url https://download.pytorch.org/whl/cpu \\
    pydantic typer rich starlette uvicorn cryptography psutil torch numpy safetensors pillow \
tiktoken zeroconf

FROM python:3.11-slim
# For the mesh of a pool. Where it cannot be had, runs do without it.
RUN (apt-get update && \\
    apt-get install -y --no-install-recommends nebula && \\
    rm -rf /var/lib/apt/lists/*) || \\
    echo 'there is no nebula: containers of this image are in no mesh'
COPY --from=made /opt/evener /opt/evener
ENV PATH=/opt/evener/bin:$PATH
"""


def test_the_libraries_as_text() -> None:
    assert recipe.libraries_text(Image(), "cpu") == PLAIN


def test_every_key_has_its_line() -> None:
    image = Image(base="debian:12", apt=("git",), pip=("einops>=0.8",), wheels="/wheels")
    text = recipe.libraries_text(image, "cpu")
    assert text.count("FROM debian:12") == 2
    assert "--no-index --find-links /tmp/wheels" in text
    assert "COPY wheels /tmp/wheels" in text
    assert "nebula" not in text  # no registry is reached
    assert "zeroconf 'einops>=0.8'" in text  # to a shell, it would be a file to write
    assert "--no-install-recommends git" in text


def test_torch_with_cuda_comes_from_where_it_is_said_to() -> None:
    assert "whl/cu130" in recipe.libraries_text(Image(), "cu130")
    assert "extra-index" not in recipe.libraries_text(Image(), recipe.PYPI)


def test_code_changes_the_run_alone_and_a_version_changes_both(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text("a = 1\n")
    before = recipes(Content(Image(), "cpu", (code,)))
    assert recipes(Content(Image(), "cpu", (code,))) == before
    code.write_text("a = 2\n")
    changed = recipes(Content(Image(), "cpu", (code,)))
    assert changed[0] == before[0]
    assert changed[1].tag != before[1].tag
    other = recipes(Content(Image(pip=("einops",)), "cpu", (code,)))
    assert other[0].tag != before[0].tag
    assert other[1].tag != changed[1].tag


def test_what_python_leaves_behind_is_not_content(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    before = recipes(Content(Image(), "cpu", (package,)))
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_text("")
    assert recipes(Content(Image(), "cpu", (package,))) == before


def test_a_folder_without_wheels_is_said_with_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(errors.DataMissing, match="no wheels") as caught:
        recipes(Content(Image(wheels=str(tmp_path)), "cpu"))
    assert "pip download" in caught.value.fix


def test_images_get_the_versions_that_are_tested_and_no_pins_but_those() -> None:
    """They hold for what a script asks for too."""
    pins = {line for line in PINS.read_text("utf-8").splitlines() if not line.startswith("#")}
    names = {line.partition("==")[0] for line in pins}
    assert pins <= {*pinned.TESTED.read_text("utf-8").splitlines()}
    assert names >= {*recipe.PACKAGES}
    assert not names & {"transformers", "tensorboard", "pytest"}
