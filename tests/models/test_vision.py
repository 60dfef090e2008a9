"""torchvision's classifiers: mended on import where needed, and every wrong name answered."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from evener.config.models import Torchvision
from evener.errors import BadCombination, ExtraMissing, WrongValue
from evener.models import build_model
from evener.shape import Shape

IMAGE = Shape("image", (3, 64, 64), 7)
INSTALLED = importlib.util.find_spec("torchvision") is not None
needs_torchvision = pytest.mark.skipif(not INSTALLED, reason="torchvision is not installed")


@pytest.mark.skipif(INSTALLED, reason="torchvision is installed")
def test_without_torchvision_the_extra_is_named() -> None:
    with pytest.raises(ExtraMissing, match="torchvision is not installed") as caught:
        build_model(Torchvision(name="torchvision:resnet18"), IMAGE)
    assert "evener[vision]" in caught.value.fix


@needs_torchvision
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "vit_b_32", "googlenet"])
def test_a_classifier_answers_for_the_datas_classes(name: str) -> None:
    model = build_model(Torchvision(name=f"torchvision:{name}"), IMAGE)
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


@needs_torchvision
def test_arguments_reach_the_builder() -> None:
    config = Torchvision(name="torchvision:mobilenet_v3_small", args={"dropout": 0.75})
    model = build_model(config, IMAGE)
    dropouts = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert dropouts == [0.75]


@needs_torchvision
def test_a_wrong_name_or_argument_is_answered() -> None:
    with pytest.raises(WrongValue) as caught:
        build_model(Torchvision(name="torchvision:resnet81"), IMAGE)
    assert "did you mean 'torchvision:resnet" in caught.value.fix
    with pytest.raises(WrongValue, match="no classifier 'fasterrcnn_resnet50_fpn'"):
        build_model(Torchvision(name="torchvision:fasterrcnn_resnet50_fpn"), IMAGE)
    with pytest.raises(WrongValue, match="unexpected keyword argument 'depth'"):
        build_model(Torchvision(name="torchvision:resnet18", args={"depth": 3}), IMAGE)
    with pytest.raises(WrongValue, match="would download"):
        build_model(Torchvision(name="torchvision:resnet18", args={"weights": "DEFAULT"}), IMAGE)


@needs_torchvision
def test_grey_images_are_refused() -> None:
    with pytest.raises(BadCombination, match="3 colour channels"):
        build_model(Torchvision(name="torchvision:resnet18"), Shape("image", (1, 64, 64), 7))


# A package that fails as torchvision does beside a torch that it was not built for: it registers
# an implementation for operators that its own library should have declared.
FOREIGN = """
    import torch

    def register(name):
        torch.library.register_fake(f"torchvision::{name}")(lambda dets, scores, iou: dets)

    for name in NAMES:
        register(name)
    from torchvision import models
"""
CLASSIFIERS = """
    from torch import nn

    def list_models(module):
        return ["tiny"]

    def get_model(name, weights, num_classes):
        return nn.Linear(3, num_classes)
"""
BUILD = """
    from evener.config.models import Torchvision
    from evener.errors import EvenerError
    from evener.models import build_model
    from evener.shape import Shape

    for attempt in range(2):
        try:
            model = build_model(Torchvision(name="torchvision:tiny"), Shape("image", (3, 8, 8), 7))
            print(type(model).__name__, model.out_features)
        except EvenerError as error:
            print(error.code, error.what)
"""


def build_beside(tmp_path: Path, names: tuple[str, ...]) -> list[str]:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(dedent(FOREIGN).replace("NAMES", repr(names)))
    (package / "models.py").write_text(dedent(CLASSIFIERS))
    (tmp_path / "build.py").write_text(dedent(BUILD))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "build.py")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_missing_operators_are_declared_and_the_import_tried_again(tmp_path: Path) -> None:
    assert build_beside(tmp_path, ("nms", "qnms")) == ["Linear 7", "Linear 7"]


@pytest.mark.slow
def test_what_cannot_be_mended_is_told(tmp_path: Path) -> None:
    lines = build_beside(tmp_path, ("nms", "roi_align"))
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("E502 torchvision cannot be imported: operator torchvision::roi_al")
