"""The job's [train]: every key of what one step is. Its descriptions become the reference page."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from evener.config.section import USER_CODE, Fraction, Positive, Section, conflict

LENGTHS = (
    "the run has no length",
    ("train",),
    "give [train] either steps = 1000 or epochs = 10",
)


class Train(Section):
    """The mathematics: what one step is. None of it depends on who computes."""

    global_batch: Positive = Field(
        32, description="Samples in one optimizer step, whatever machines take part."
    )
    steps: Positive | None = Field(None, description="Length of the run in steps.")
    epochs: Positive | None = Field(None, description="Length of the run in passes over the data.")
    seed: int = Field(1337, ge=0, lt=2**63, description="Weights, order and augmentation follow "
                      "from it.")  # fmt: skip
    loss: str | None = Field(
        None, pattern=USER_CODE, examples=["my_loss:loss"],
        description="Your own loss, package.module:function, called as f(model, batch); returns "
        "(sum, count) or (sum, count, {name: sum}).",
    )  # fmt: skip
    label_smoothing: Fraction = Field(
        0.0, description="Of the cross-entropy in training; validation stays plain."
    )
    optimizer: Literal["sgd", "adam", "adamw"] = Field(
        "adamw", description="How the weights follow the gradient."
    )
    lr: float = Field(1e-3, gt=0, description="Learning rate at its highest.")
    momentum: float = Field(
        0.9, ge=0, lt=1, description="Of sgd: how much of the last update is kept."
    )
    nesterov: bool = Field(False, description="Of sgd: look ahead along the momentum.")
    betas: tuple[Fraction, Fraction] = Field(
        (0.9, 0.99), description="Of adam and adamw; short runs want a lower second one than 0.999."
    )
    eps: float = Field(1e-8, gt=0, description="Of adam and adamw: keeps the division finite.")
    weight_decay: float = Field(
        0.0, ge=0, description="Applied to tensors of two and more dimensions only."
    )
    schedule: Literal["constant", "step", "cosine", "linear"] = Field(
        "constant", description="How the learning rate falls; indexed by global step."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps of linear rise before the schedule.")
    decay_steps: Positive | None = Field(
        None, description="Where cosine and linear reach min_lr; the whole run if not given."
    )
    min_lr: float = Field(0.0, ge=0, description="Where cosine and linear end.")
    step_size: Positive = Field(1000, description="The step schedule multiplies every step_size.")
    gamma: float = Field(0.1, gt=0, le=1, description="The step schedule's factor.")
    clip_norm: float | None = Field(
        None, gt=0, description="Clip the norm of the whole, reduced gradient."
    )
    precision: Literal["fp32", "fp64", "bf16", "fp16"] = Field(
        "fp32", description="bf16 and fp16 are autocast over 32-bit weights; fp16 needs a GPU."
    )
    micro_batch: Positive | None = Field(
        None, description="Most samples a rank puts through the model at once; its share is "
        "accumulated over as many as it takes. With batch normalisation: an equal share of the "
        "batch, 8 to 32, if not given."
    )  # fmt: skip
    batchnorm: Literal["local", "sync"] = Field(
        "local", description="Batch normalisation sees a rank's own micro_batch, or the whole "
        "batch: sync is exact for any split, and costs two sums over all ranks per layer and step."
    )  # fmt: skip
    compare_every_steps: Positive = Field(
        100, description="Ranks compare their weights every so many steps: one that differs takes "
        "over the state of the others."
    )  # fmt: skip
    compile: bool = Field(False, description="torch.compile the model: slower start, faster steps.")
    max_skipped: Positive = Field(
        20, description="Steps in a row with non-finite gradients before the run is given up."
    )

    @model_validator(mode="after")
    def _length(self) -> Train:
        if self.steps is not None and self.epochs is not None:
            raise conflict(
                "steps and epochs are both given, and they contradict each other",
                ("steps", "epochs"),
                "keep one; on the command line, -o train.epochs= takes a key out",
            )
        if self.nesterov and not self.momentum:
            raise conflict(
                "nesterov needs momentum above 0",
                ("nesterov", "momentum"),
                "momentum = 0.9 is usual",
            )
        if self.min_lr > self.lr:
            raise conflict(
                f"min_lr ({self.min_lr}) is above lr ({self.lr})",
                ("min_lr", "lr"),
                "lr is the highest rate and min_lr the lowest: lower one or raise the other",
            )
        if self.batchnorm == "sync":
            self._synchronises()
        return self

    def _synchronises(self) -> None:
        """Statistics of the whole batch need all of it at once, and sums amid the model."""
        if self.micro_batch is not None and self.micro_batch < self.global_batch:
            raise conflict(
                f"batchnorm = 'sync' needs the whole batch at once, not in pieces of "
                f"{self.micro_batch}",
                ("micro_batch", "batchnorm"),
                "leave micro_batch out, or use batchnorm = 'local'",
            )
        if self.compile:
            raise conflict(
                "torch.compile cannot look through the sums of batchnorm = 'sync'",
                ("compile", "batchnorm"),
                "use compile = false, or batchnorm = 'local'",
            )
