"""Every failure a person can meet: one tree, each with a code, an exit status and a page.

    EvenerError
    ├── JobError (exit 2)        the job file, an override, a recipe
    ├── DataError (exit 3)       a file or folder of data
    ├── CodeError (exit 4)       the user's own module
    ├── RunError (exit 5)        a run's folder, its checkpoints
    ├── MachineError (exit 6)    disk, device, missing extra
    └── TrainingError (exit 7)   the training itself

A message says what happened, where, and what to do next. Errors cross process borders as plain
dictionaries (`to_dict`, `from_dict`): a rank fails, its agent reports, the terminal prints.
"""

from __future__ import annotations

from typing import Any, ClassVar

INTERRUPTED_EXIT_STATUS = 130


class EvenerError(Exception):
    """Something a person should read. `where`: a file and key, or a machine; `fix`: a next step."""

    code: ClassVar[str] = "E000"
    title: ClassVar[str] = "An error of evener's own"
    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.what}"]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  next:  {self.fix}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, str]:
        return {"code": self.code, "what": self.what, "where": self.where, "fix": self.fix}


class JobError(EvenerError):
    exit_status = 2


class JobNotFound(JobError):
    code, title = "E101", "No such job file or recipe"


class JobSyntax(JobError):
    code, title = "E102", "The job file is not valid TOML or JSON"


class UnknownKey(JobError):
    code, title = "E103", "A key that no part of evener reads"


class WrongValue(JobError):
    code, title = "E104", "A value of the wrong type or out of range"


class BadCombination(JobError):
    code, title = "E105", "Keys that contradict each other"


class BadOverride(JobError):
    code, title = "E106", "An override (-o) that cannot be read"


class BadCommand(JobError):
    code, title = "E107", "A command-line option that cannot be used so"


class ProfilesBroken(JobError):
    code, title = "E108", "Profiles that are not there or cannot be read"


class ProfilesUnfit(JobError):
    code, title = "E109", "Profiles of other machines or of another job"


class DataError(EvenerError):
    exit_status = 3


class DataMissing(DataError):
    code, title = "E201", "A data file or folder is not there"


class DataDamaged(DataError):
    code, title = "E202", "A data file is truncated, damaged or of another format"


class DataTooSmall(DataError):
    code, title = "E203", "Too little data for the job"


class LabelOutOfRange(DataError):
    code, title = "E204", "A label the model has no output for"


class DownloadFailed(DataError):
    code, title = "E205", "A download did not succeed"


class CodeError(EvenerError):
    exit_status = 4


class CodeNotImportable(CodeError):
    code, title = "E301", "The user's module cannot be imported"


class CodeReturnedWrong(CodeError):
    code, title = "E302", "The user's code returned something evener cannot use"


class CodeRaised(CodeError):
    code, title = "E303", "The user's code raised an exception"


class ScriptUnfit(CodeError):
    code, title = "E304", "A script that cannot be run"


class ScriptFailed(CodeError):
    code, title = "E305", "A script ended by itself, and not well"


class ScriptMistaken(CodeError):
    code, title = "E306", "A script uses evener.training as it cannot be used"


class RunError(EvenerError):
    exit_status = 5


class RunNotFound(RunError):
    code, title = "E401", "No run of that name"


class RunActive(RunError):
    code, title = "E402", "The run is still going"


class NothingToResume(RunError):
    code, title = "E403", "There is nothing to resume"


class CheckpointDamaged(RunError):
    code, title = "E404", "A checkpoint does not match its manifest"


class CheckpointMismatch(RunError):
    code, title = "E405", "A checkpoint belongs to another model or job"


class NoCheckpoint(RunError):
    code, title = "E406", "The run has no checkpoint"


class StoreDamaged(RunError):
    code, title = "E407", "The run's record cannot be read"


class PromiseBroken(RunError):
    code, title = "E408", "What the ranks of a run wrote contradicts a promise"


class MachineError(EvenerError):
    exit_status = 6


class DiskFull(MachineError):
    code, title = "E501", "No space left on a disk"


class ExtraMissing(MachineError):
    code, title = "E502", "An optional part of evener is not installed"


class DeviceMissing(MachineError):
    code, title = "E503", "A device that was asked for is not there"


class NotPermitted(MachineError):
    code, title = "E504", "The system does not permit it"


class StartFailed(MachineError):
    code, title = "E505", "A process of the run did not start"


class VersionsDiffer(MachineError):
    code, title = "E506", "Machines of a run have different versions"


class PortTaken(MachineError):
    code, title = "E507", "A port that is to be listened on is taken"


class DeviceFailed(MachineError):
    code, title = "E508", "A GPU or a disk of one machine fails"


class UnlikeOthers(MachineError):
    code, title = "E509", "A rank that would join has other data, or another model, than the others"


class DockerAway(MachineError):
    code, title = "E511", "No Docker engine answers"


class DockerFailed(MachineError):
    code, title = "E512", "Docker could not do what it was asked"


class ImageMissing(MachineError):
    code, title = "E513", "An image is not there"


class ImageUnfit(MachineError):
    code, title = "E514", "An image cannot run a rank"


class PoolAway(MachineError):
    code, title = "E521", "The server of a pool does not answer"


class NoPool(MachineError):
    code, title = "E522", "This machine is in no pool, or has none"


class CodeRefused(MachineError):
    code, title = "E523", "A code that lets no machine into a pool"


class TrainingError(EvenerError):
    exit_status = 7


class RankFailed(TrainingError):
    code, title = "E601", "A rank failed with an unexpected exception"


class RanksLost(TrainingError):
    code, title = "E602", "Ranks died again and again without progress"


class Diverged(TrainingError):
    code, title = "E603", "The loss or the gradients stayed non-finite"


class RunVanished(TrainingError):
    code, title = "E604", "Every process of the run is gone"


class OutOfMemory(TrainingError):
    code, title = "E605", "A rank ran out of memory"


def all_errors() -> dict[str, type[EvenerError]]:
    """Every concrete error by its code: what the documentation and its test list."""
    found: dict[str, type[EvenerError]] = {}

    def visit(kind: type[EvenerError]) -> None:
        if "code" in vars(kind):
            found[kind.code] = kind
        for child in kind.__subclasses__():
            visit(child)

    visit(EvenerError)
    return dict(sorted(found.items()))


def from_dict(record: dict[str, Any]) -> EvenerError:
    """The error that `to_dict` described; an unknown code (another version's) stays readable."""
    kind = all_errors().get(str(record.get("code")), EvenerError)
    what = str(record.get("what") or "no reason was given")
    return kind(what, where=str(record.get("where", "")), fix=str(record.get("fix", "")))
