"""The job files of the benchmarks: what `baselines/cases.py` trains, said in evener's words."""

from __future__ import annotations

import random

# Nothing but training: what is due at other times is measured elsewhere.
_QUIET = """
[validation]
at_end = false

[checkpoint]
every_s = 86400

[local]
device = "cpu"
threads = 1
"""

GPT = (
    """
[model]
name = "gpt"

[data]
name = "text"
path = "text.txt"

[train]
global_batch = 12
steps = 100
lr = 1e-3
betas = [0.9, 0.99]
weight_decay = 0.1
clip_norm = 1.0
"""
    + _QUIET
)

# The same model and text in a loop of its own: `baselines/own.py`.
LOOP = """
[script]
path = "own.py"
kind = "training"
args = ["--evener", "--steps", "1000", "--out", "weights.pt"]

[train]
steps = 100

[checkpoint]
every_s = 86400

[local]
device = "cpu"
threads = 1
"""

# A script for torchrun: `examples/ddp_with_checkpoints.py`.
DDP = """
[script]
path = "train.py"
args = ["--steps", "1000000", "--save-every", "20", "--pause-s", "0.1"]

[local]
device = "cpu"
threads = 1
"""

RESNET18 = (
    """
[model]
name = "resnet18"

[data]
name = "synthetic_image"
samples = 1024
validation_samples = 32

[train]
global_batch = 32
steps = 10
optimizer = "sgd"
lr = 0.05
momentum = 0.9
weight_decay = 5e-4
"""
    + _QUIET
)


def text_of_65_letters(size: int = 1_000_000) -> str:
    """As many different characters as Tiny Shakespeare has, in no order."""
    letters = [chr(code) for code in range(48, 48 + 65)]
    return "".join(random.Random(1337).choices(letters, k=size))
