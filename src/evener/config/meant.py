"""What a person probably meant by a word that means nothing here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from evener.config import keys

# What other trainers call the same thing.
_ELSEWHERE = {
    "batch": "train.global_batch",
    "batch_size": "train.global_batch",
    "total_batch_size": "train.global_batch",
    "accumulation_steps": "train.micro_batch",
    "gradient_accumulation_steps": "train.micro_batch",
    "micro_batch_size": "train.micro_batch",
    "learning_rate": "train.lr",
    "max_iters": "train.steps",
    "max_steps": "train.steps",
    "iterations": "train.steps",
    "num_epochs": "train.epochs",
    "lr_scheduler": "train.schedule",
    "scheduler": "train.schedule",
    "warmup": "train.warmup_steps",
    "warmup_iters": "train.warmup_steps",
    "lr_decay_iters": "train.decay_steps",
    "beta1": "train.betas",
    "beta2": "train.betas",
    "grad_clip": "train.clip_norm",
    "max_grad_norm": "train.clip_norm",
    "dtype": "train.precision",
    "amp": "train.precision",
    "num_workers": "data.workers",
    "dataset": "data.name",
    "data_dir": "data.path",
    "context_length": "model.block_size",
    "eval_interval": "validation.every_steps",
    "eval_every": "validation.every_steps",
    "save_every": "checkpoint.every_steps",
    "nproc_per_node": "local.workers",
    "world_size": "local.workers",
}


def closest(word: str, options: Iterable[str]) -> str | None:
    """The option nearest to `word` in spelling, or one that contains it; None if none is near."""
    by_form = {_form(option): option for option in options}
    form = _form(word)
    if form in by_form:
        return by_form[form]
    near = difflib.get_close_matches(form, by_form, n=1, cutoff=0.7)
    if near:
        return by_form[near[0]]
    within = [o for f, o in by_form.items() if len(form) > 2 and (form in f or f in form)]
    return min(within, key=len) if within else None


def key(table: str, name: str, kind: str = "") -> str | None:
    """The dotted key that `name`, written in `table`, may have meant."""
    own = keys.table(table, kind)
    found = closest(name, [k.name for k in own.keys]) if own else None
    if own and found:
        return f"{own.name}.{found}" if own.name else found
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    return _anywhere(name)


def table(name: str) -> str | None:
    return closest(name, [t.name for t in keys.tables() if t.name])


def _anywhere(name: str) -> str | None:
    """In whatever table: the same name, else the nearest. Tables of [model] kinds count alike."""
    paths: dict[str, str] = {}
    for t in keys.tables():
        for k in t.keys:
            paths.setdefault(k.name, k.path)
    found = closest(name, paths)
    return paths[found] if found else None


def _form(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "").replace(" ", "")
