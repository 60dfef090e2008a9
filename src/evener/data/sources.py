"""The door to all data: from a job to its opened data set."""

from __future__ import annotations

from pathlib import Path

from evener import contract
from evener.config import schema
from evener.data import cache, cifar, imagenet, mnist, synthetic, text, tokens, user
from evener.data.dataset import Codec, DataSet, Report, Source, Sources, silent
from evener.errors import BadCombination

__all__ = ["Codec", "DataSet", "Source", "Sources", "open_data"]


def open_data(job: schema.Job, report: Report = silent) -> DataSet:
    """Open what `data.name` names. Quick, and without torch, once `prepare` has been here."""
    with cache.refusals(Path(getattr(job.data, "path", None) or contract.cache_folder())):
        return _open(job, report)


def _open(job: schema.Job, report: Report) -> DataSet:
    data = job.data
    match data:
        case schema.SyntheticRegression():
            return synthetic.open_regression(data, job)
        case schema.SyntheticImage():
            return synthetic.open_pictures(data, job)
        case schema.Mnist():
            return mnist.open_mnist(data, job, report)
        case schema.Cifar():
            return cifar.open_cifar(data, job, report)
        case schema.Imagenet():
            return imagenet.open_imagenet(data, job, report)
        case schema.Text():
            return text.open_text(data, job, report)
        case schema.Tokens():
            return tokens.open_tokens(data, job)
        case schema.UserData():
            return user.open_user(data)
        case schema.ScriptData():
            raise BadCombination(
                "a script trained this run, and it alone can open its data",
                where=job.script.path,
                fix="do it in the script, after its loop",
            )
