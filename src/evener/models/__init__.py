"""The models a job may name, each built from its table of the job file and the data's shape."""

from evener.models.build import build_model

__all__ = ["build_model"]
