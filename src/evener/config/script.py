"""The table [script]: a script of the user's own, and in which of two ways it is run."""

from __future__ import annotations

import ast
import re
from typing import Literal

from pydantic import Field, model_validator

from evener.config.section import Positive, Seconds, Section, conflict

API = "evener.training"
_BRING_TORCH = {
    *("torch", "torchvision", "torchaudio", "accelerate", "lightning", "pytorch_lightning"),
    *("transformers", "timm", "diffusers", "peft", "trl", "deepspeed"),
}
NAME = "script"  # of the model and the data of a job whose script brings both


class ScriptConfig(Section):
    """A script of your own: it brings the model and the data, and no other table is needed."""

    path: str = Field(
        "",
        examples=["train.py"],
        description="The file, relative to the job file. Empty: no script.",
    )
    args: tuple[str, ...] = Field(
        (), description="What it is given; on the command line, all that stands after `--`."
    )
    kind: Literal["auto", "training", "torchrun"] = Field(
        "auto",
        description="How it is run: training by evener's engine, if it has a loop over "
        "evener.training; torchrun as torchrun would run it. auto looks whether it imports "
        "evener.training.",
    )
    nproc: Positive | None = Field(
        None,
        description="Of kind torchrun: processes on each machine; one per GPU, or one where there "
        "is none, if not given.",
    )
    folder: str = Field(
        "",
        description="Where it runs; the folder you call evener in if not given. In containers it "
        "runs in a copy of its own, in the run's folder.",
    )
    reads: tuple[str, ...] = Field(
        (),
        description="Files and folders of data, relative to the job file, that do not travel with "
        "its code: containers see them at the same path, and where the script finds them from its "
        "own folder; they cannot write there.",
    )
    stays: tuple[str, ...] = Field(
        ("data/",),
        description="On a Swarm, all that it writes below its folder is kept with the run and "
        "brought to every machine it starts on anew, but for these: lines as of a .gitignore.",
    )
    pattern: str = Field(
        "",
        description="Of kind torchrun: how numbers are found in the lines it prints, as a regular "
        "expression: its groups `name` and `value`, or groups named like the numbers (step, epoch, "
        "loss, lr, ...). "
        "If not given: names followed by numbers, as in `step 10: loss 2.3` and `loss=1.23`.",
    )
    stop_s: Seconds = Field(
        30.0,
        description="Of kind torchrun: from the signal (SIGTERM) that asks it to stop until it is "
        "killed.",
    )
    quiet_s: Seconds = Field(
        300.0,
        description="Of kind torchrun: when no rank has printed anything for so long, you are told "
        "where each stands; nothing else is done about it.",
    )

    @model_validator(mode="after")
    def _there(self) -> ScriptConfig:
        if not self.path and (self.args or self.nproc):
            what = "there is no script that would be given arguments, or run several times"
            raise conflict(what, ("path",), "`evener run train.py -- ARGUMENTS` runs one")
        try:
            named = set(re.compile(self.pattern).groupindex)
        except re.error as error:
            what = f"the pattern is no regular expression: {error}"
            raise conflict(what, ("pattern",), "mend it, or leave it out") from error
        if self.pattern and (not named or ("name" in named) != ("value" in named)):
            what = "the pattern has neither groups `name` and `value` nor one named like a number"
            fix = r"for example: pattern = '(?P<name>loss|lr) (?P<value>\S+)'"
            raise conflict(what, ("pattern",), fix)
        return self


def kind_of(source: str) -> Literal["training", "torchrun"]:
    """How the script with this text wants to be run. Raises SyntaxError for what is no Python."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names) if any(_is_api(n.name) for n in names):
                return "training"
            case ast.ImportFrom(module=str(module), level=0) if _is_api(module):
                return "training"
            case ast.ImportFrom(module="evener", names=names, level=0) if any(
                n.name == "training" for n in names
            ):
                return "training"
    return "torchrun"


def may_find_torch(source: str) -> bool:
    """Whether a script imports torch, and would not notice that it is there before: it says nothing
    of the environment first, which libraries read."""
    wanted = touched = False
    for node in ast.parse(source).body:
        match node:
            case ast.Import() | ast.ImportFrom():
                if touched:
                    return False
                wanted = wanted or _brings_torch(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                continue
            case _:
                touched = touched or any(map(_is_environment, ast.walk(node)))
    return wanted


def _brings_torch(node: ast.Import | ast.ImportFrom) -> bool:
    names = (
        [node.module or ""] if isinstance(node, ast.ImportFrom) else [n.name for n in node.names]
    )
    return any(name.partition(".")[0] in _BRING_TORCH for name in names)


def _is_environment(node: ast.AST) -> bool:
    word = getattr(node, "attr", None) or getattr(node, "id", None)
    return word in ("environ", "putenv", "load_dotenv")


def _is_api(module: str) -> bool:
    return module == API or module.startswith(f"{API}.")
