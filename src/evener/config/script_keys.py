"""What a job may say beside a script: nothing that neither the script nor evener would read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evener.config.data import Data, ScriptData
from evener.config.models import Model, ScriptModel
from evener.config.script import ScriptConfig
from evener.config.section import Section, conflict

# Of [train], for a loop over evener.training; what else there is to say, the script says itself.
OF_LOOPS = (
    "global_batch", "steps", "epochs", "seed", "clip_norm", "micro_batch", "batchnorm",
    "compare_every_steps", "max_skipped",
)  # fmt: skip
# Of [script], what only a script is asked for that is run as torchrun would run it.
OF_TORCHRUN = ("nproc", "pattern", "stop_s", "quiet_s")
# What trains by evener's engine reads these; the other tables say where and how a run goes.
TABLES = ("train", "data", "validation", "early_stopping", "sample", "checkpoint", "balance")


def brings(script: ScriptConfig, model: Model, data: Data) -> bool:
    """Whether a script trains. Either it does, or what the job names."""
    own = isinstance(model, ScriptModel) and isinstance(data, ScriptData)
    if script.path and not own:
        raise conflict(
            "the script brings its own model and data",
            ("script.path", "model.name", "data.name"),
            "remove [model] and the name in [data], or remove [script]",
        )
    if not script.path and (isinstance(model, ScriptModel) or isinstance(data, ScriptData)):
        raise conflict(
            "'script' is what a script brings, and the job has none",
            ("model.name", "data.name", "script.path"),
            'name it: [script] path = "train.py"',
        )
    return own


def check(script: ScriptConfig, tables: Mapping[str, Section | None]) -> None:
    """What nothing would read is no silent wish. `tables` are the job's, by the names in TABLES."""
    match script.kind:
        case "training":
            _check_loop(script, tables)
        case "torchrun":
            unread = [f"{name}.{key}" for name in TABLES for key in _said(tables[name])]
            if unread:
                raise conflict(
                    f"{unread[0]} is a torchrun script's own to say: nothing reads it here",
                    tuple(unread),
                    "say it in the script, or by its arguments",
                )


def _check_loop(script: ScriptConfig, tables: Mapping[str, Section | None]) -> None:
    told = [key for key in _said(script) if key in OF_TORCHRUN]
    if told:
        raise conflict(
            f"script.{told[0]} is for scripts that torchrun would run, and this one trains by "
            "evener.training",
            tuple(f"script.{key}" for key in told),
            "leave it out; how many ranks there are is said by --workers",
        )
    unread = [key for key in _said(tables["train"]) if key not in OF_LOOPS]
    if unread:
        raise conflict(
            f"train.{unread[0]} is the script's own to say: nothing reads it here",
            tuple(f"train.{key}" for key in unread),
            f"say it in the script; of [train] it takes {', '.join(OF_LOOPS)}",
        )
    if tables["sample"] is not None:
        raise conflict(
            "[sample] writes text of built-in data, and a script brings its own",
            ("sample", "script.path"),
            "remove [sample]",
        )


def _said(table: Section | None) -> Iterator[str]:
    """The keys that are not as they would be anyway."""
    for key, field in type(table).model_fields.items() if table is not None else ():
        if getattr(table, key) != field.get_default(call_default_factory=True):
            yield key
