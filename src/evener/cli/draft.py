"""A job file for a script, with what can be seen of it filled in and the rest as comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from evener.cluster import Machine
from evener.config import scripted
from evener.config.script import kind_of
from evener.image import requirements
from evener.image.requirements import Requirements

# Folders that scripts read data from, as they are named in arguments or in the code.
_FOLDER = re.compile(r"""["'](/[\w./-]+|~/[\w./-]+|\.\./[\w./-]+)["']""")
_KINDS = {
    "torchrun": "run unchanged, as torchrun would",
    "training": "run by evener's own engine, for it imports evener.training",
}


def job_file(script: Path, target: Path, machine: Machine) -> str:
    """The text. Raises ScriptUnfit for what cannot be run."""
    source = scripted.read(script, script.name)
    kind = kind_of(source)
    blocks = (
        _heading(script, target, kind),
        _script(script, target, source, machine if kind == "torchrun" else None),
        _image(requirements.found(script.parent)),
        _env(source),
    )
    return "\n".join("\n".join(block) + "\n" for block in blocks)


def _heading(script: Path, target: Path, kind: str) -> Iterator[str]:
    yield f"# {script.name}, {_KINDS[kind]}: evener run {target.name}"
    yield f"# evener run {target.name} -- --its --own args: those take the place of args below."


def _script(script: Path, target: Path, source: str, machine: Machine | None) -> Iterator[str]:
    """`machine`: where torchrun's way is the script's, which has keys of its own."""
    yield "[script]"
    yield f"path = {_quoted(_relative(script, target.parent))}"
    yield "args = []  # what it is given"
    if machine is not None:
        yield from _as_torchrun(machine)
    data = _data(source, script.parent)
    if data:
        yield f"reads = {_listed(data)}  # data outside of its folder, named in the script"
    else:
        yield '# reads = ["/data"]  # data outside of its folder, for containers to see'
    yield '# stays = ["data/"]  # what it writes that is not brought to other machines of a Swarm'


def _as_torchrun(machine: Machine) -> Iterator[str]:
    gpus = sum(1 for device in machine.devices if device.kind == "cuda")
    seen = f"{gpus} here" if gpus else "none here: one process"
    yield f"# nproc = {max(gpus, 1)}  # processes on each machine, if not one per GPU ({seen})"
    yield "# pattern = 'loss (?P<loss>\\S+)'  # how numbers for the charts stand in its lines"
    yield '# quiet_s = "5m"  # without a printed line: then you are told where its ranks stand'


def _image(found: Requirements) -> Iterator[str]:
    yield "[image]"
    if found.file:
        yield f"# {found.note}: read at every start."
    else:
        yield "# No requirements.txt, pyproject.toml or environment.yml was found beside it."
    yield "pip = []  # packages to install as well, in containers"
    yield '# apt = ["git"]'


def _env(source: str) -> Iterator[str]:
    yield "[env]"
    yield "# Variables that every process finds."
    if "wandb" in source:
        yield 'WANDB_MODE = "offline"  # the script speaks to Weights & Biases, without a key here'
    else:
        yield '# NCCL_DEBUG = "INFO"'


def _data(source: str, folder: Path) -> list[str]:
    """Folders that the script names and that are here."""
    named = dict.fromkeys(_FOLDER.findall(source))
    there = (name for name in named if (folder / Path(name).expanduser()).is_dir())
    return [name for name in there if not name.startswith(("/tmp", "/dev", "/proc", "/usr"))]


def _relative(script: Path, folder: Path) -> str:
    absolute, base = script.absolute(), folder.absolute()
    found = absolute.relative_to(base) if absolute.is_relative_to(base) else absolute
    return found.as_posix()  # which every system reads: job files travel


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _listed(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"
