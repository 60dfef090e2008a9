"""What a run looks like now: a pure fold of its events. Every view shows this and nothing else.

Events of one source come in order, those of different sources interleave as they like, and the
same step may be told twice: by two sides of a cut network, or again after a fall back to a
checkpoint. So `step` only rises, and what is told late changes nothing that is newer. A run that
is resumed begins again with `RunStarted`; its history stays. The state is bounded: histories keep
their ends only (the store has all of them).
"""

from evener.state.changes import apply, fold
from evener.state.views import (
    EMPTY,
    ENDED,
    AlertView,
    CheckpointView,
    GpuView,
    LoadView,
    MachineView,
    Phase,
    RankPhase,
    RankView,
    RunState,
    TextView,
    ValidationView,
    to_dict,
)

__all__ = [
    "EMPTY",
    "ENDED",
    "AlertView",
    "CheckpointView",
    "GpuView",
    "LoadView",
    "MachineView",
    "Phase",
    "RankPhase",
    "RankView",
    "RunState",
    "TextView",
    "ValidationView",
    "apply",
    "fold",
    "to_dict",
]
