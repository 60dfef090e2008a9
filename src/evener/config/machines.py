"""The tables [[machines]] and [env]: what containers may use, and what ranks are told."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import ConfigDict, Field, RootModel, model_validator

from evener import units
from evener.config.section import Fraction, Positive, Section, Size, conflict

GPU_AUTO, GPU_NONE = "auto", "none"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Of evener's own: a rank that is told otherwise does not find evener, its agent or the job's code.
_OURS = re.compile(r"EVENER_\w*|PYTHONPATH", re.IGNORECASE)

_Gpu = Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=r"^(GPU|MIG)-[\w/-]+$")]
_GpuWord = Annotated[
    str, Field(pattern=r"^(auto|none|(GPU|MIG)-[\w/-]+)$", examples=["auto", "none", "GPU-5e4c"])
]


class MachineWish(Section):
    """A container, or several alike, each a machine of its own: what it may use of the real one.
    Without this table: one for each GPU, else one for each of --workers, with equal parts. Runs as
    local processes have no such limits."""

    count: Positive = Field(1, description="How many of this kind.")
    cpus: float | None = Field(
        None, ge=0.01,
        description="Processors, in parts if need be, and never more. If not given: an equal part "
        "of what the others leave, and more while they are idle.",
    )  # fmt: skip
    memory: Size | None = Field(
        None, description="Most memory; above it a rank is killed. Else all there is."
    )
    gpus: _GpuWord | Annotated[int, Field(ge=0)] | tuple[_Gpu, ...] = Field(
        GPU_AUTO,
        description="auto takes the next GPU that no other machine has, if there is one; or an "
        "index, a UUID, or a list of them, each for a rank of its own.",
    )
    cpu_affinity: str | None = Field(
        None, pattern=r"^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$", examples=["0-3", "0,2"],
        description="The processors it runs on, by number.",
    )  # fmt: skip
    min_share: Fraction | None = Field(
        None, description="Least part of the batch for each of its ranks; balance.min_share if not "
        "given.",
    )  # fmt: skip
    max_share: float | None = Field(
        None, gt=0, le=1, description="Largest part of the batch for each of its ranks; "
        "balance.max_share if not given.",
    )  # fmt: skip
    shm_size: Size | None = Field(
        None,
        description="Of /dev/shm, through which loader workers pass batches; 1GiB if not given.",
    )

    @property
    def named_gpus(self) -> tuple[int | str, ...]:
        """Those asked for by index or UUID."""
        if isinstance(self.gpus, tuple):
            return self.gpus
        return () if self.gpus in (GPU_AUTO, GPU_NONE) else (self.gpus,)

    @model_validator(mode="after")
    def _there(self) -> MachineWish:
        if self.count > 1 and self.named_gpus:
            raise conflict(
                f"{self.count} machines cannot each have the GPU that is named",
                ("count", "gpus"),
                'write one [[machines]] for each, or gpus = "auto"',
            )
        if self.cpu_affinity and not units.parse_numbers(self.cpu_affinity):
            what = f"{self.cpu_affinity!r} names no processor"
            raise conflict(what, ("cpu_affinity",), "the lower number comes first: 0-3")
        return self


class Env(RootModel[dict[str, str | int | float]]):
    """Variables that every rank finds in its environment: NCCL_*, GLOO_*, TORCH_*, OMP_* or any
    other. They win over those that evener sets itself, which `evener run --dry-run` shows."""

    model_config = ConfigDict(frozen=True)

    @property
    def variables(self) -> dict[str, str]:
        return {name: str(value) for name, value in self.root.items()}

    @model_validator(mode="after")
    def _allowed(self) -> Env:
        for name in self.root:
            if not _NAME.fullmatch(name):
                fix = "letters, digits and underscores, no digit first"
                raise conflict(f"{name!r} cannot name a variable", (name,), fix)
            if _OURS.fullmatch(name):
                fix = "leave it out; modules of your own are found beside the job file, and in "
                raise conflict(f"{name} is for evener to set", (name,), fix + "image.include")
        return self
