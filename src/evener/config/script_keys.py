"""What a job may say where a script trains: nothing that only a built-in task would read."""

from __future__ import annotations

from evener.config.data import Data, ScriptData
from evener.config.models import Model, ScriptModel
from evener.config.script import ScriptConfig
from evener.config.section import Section, conflict
from evener.config.train import Train

# Of [train]; what else there is to say, a script that trains by evener.training says itself.
OF_SCRIPTS = (
    "global_batch", "steps", "epochs", "seed", "clip_norm", "micro_batch", "batchnorm",
    "compare_every_steps", "max_skipped",
)  # fmt: skip


def brings(script: ScriptConfig, model: Model, data: Data) -> bool:
    """Whether a script trains. Either it does, or what the job names."""
    own = isinstance(model, ScriptModel) and isinstance(data, ScriptData)
    if script.path and not own:
        raise conflict(
            "the script brings its own model and data",
            ("script.path", "model.name", "data.name"),
            "remove [model] and the name in [data], or remove [script]",
        )
    if script.args and not script.path:
        raise conflict(
            "the job has no script that could take arguments",
            ("script.args", "script.path"),
            'leave them out, or name the script: [script] path = "train.py"',
        )
    if not script.path and (isinstance(model, ScriptModel) or isinstance(data, ScriptData)):
        raise conflict(
            "'script' is what a script brings, and the job has none",
            ("model.name", "data.name", "script.path"),
            'name it: [script] path = "train.py"',
        )
    return own


def check(script: ScriptConfig, train: Train, sample: Section | None) -> None:
    """What nothing would read is no silent wish."""
    if script.kind != "training":
        return
    unread = [
        key
        for key, field in Train.model_fields.items()
        if key not in OF_SCRIPTS and getattr(train, key) != field.default
    ]
    if unread:
        raise conflict(
            f"train.{unread[0]} is the script's own to say: nothing reads it here",
            tuple(f"train.{key}" for key in unread),
            f"say it in the script; of [train] it takes {', '.join(OF_SCRIPTS)}",
        )
    if sample is not None:
        raise conflict(
            "[sample] writes text of built-in data, and a script brings its own",
            ("sample", "script.path"),
            "remove [sample]",
        )
