"""The job: every key a person may write, with its type, its default and the default's reason.

Frozen, and `extra="forbid"`: a key that nothing reads is an error, never a silent wish. The
reference page and `evener config schema` are generated from the descriptions here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from evener.config import script_keys
from evener.config.data import (
    Cifar,
    Data,
    ImageFiles,
    Imagenet,
    Loading,
    Mnist,
    ScriptData,
    SyntheticImage,
    SyntheticRegression,
    Text,
    Tokens,
    UserData,
)
from evener.config.image import Image
from evener.config.machines import Env, MachineWish
from evener.config.models import (
    Bigram,
    Gpt,
    Linear,
    Mlp,
    Model,
    Resnet,
    ScriptModel,
    SimpleCnn,
    Torchvision,
    UserModel,
)
from evener.config.script import ScriptConfig
from evener.config.section import Fraction, Positive, Seconds, Section, conflict
from evener.config.train import LENGTHS, Train

__all__ = [
    "METRICS",
    "Balance",
    "Bigram",
    "Checkpoint",
    "Cifar",
    "Dashboard",
    "Data",
    "EarlyStopping",
    "Env",
    "Fraction",
    "Gpt",
    "Image",
    "ImageFiles",
    "Imagenet",
    "Job",
    "Linear",
    "Loading",
    "Local",
    "Log",
    "MachineWish",
    "Membership",
    "Mlp",
    "Mnist",
    "Model",
    "Positive",
    "Resnet",
    "Sample",
    "ScriptConfig",
    "ScriptData",
    "ScriptModel",
    "Seconds",
    "Section",
    "SimpleCnn",
    "SyntheticImage",
    "SyntheticRegression",
    "Text",
    "Tokens",
    "Torchvision",
    "Train",
    "UserData",
    "UserModel",
    "Validation",
]

METRICS = ("loss", "accuracy", "top5", "perplexity")  # what validation measures by itself


class Validation(Section):
    """When the validation set is passed, every sample once, shared among the ranks."""

    every_steps: Positive | None = Field(None, description="Every so many steps.")
    every_epochs: Positive | None = Field(
        1, description="Every so many epochs, where every_steps is not given."
    )
    batch: Positive | None = Field(
        None, description="Samples a rank takes at once; a rank's usual share if not given."
    )
    at_end: bool = Field(True, description="Also after the last step.")


class EarlyStopping(Section):
    """End the run when validation no longer improves."""

    patience: Positive = Field(description="Validations without improvement before the end.")
    min_delta: float = Field(0.0, ge=0, description="Less than this is no improvement.")
    metric: str = Field("loss", description="loss, accuracy, top5 or perplexity of validation.")


class Sample(Section):
    """Text written by the model while it learns."""

    every_steps: Positive | None = Field(None, description="Every so many steps.")
    at_end: bool = Field(True, description="Also after the last step.")
    prompt: str = Field("\n", description="Where the text begins.")
    tokens: Positive = Field(200, description="How much is written.")
    temperature: float = Field(0.8, gt=0, description="Below 1: safer; above: wilder.")
    top_k: Positive | None = Field(None, description="Choose among the k likeliest only.")


class Checkpoint(Section):
    """When the whole state is put on disk, and how much of it stays."""

    every_steps: Positive | None = Field(None, description="Every so many steps.")
    every_s: Seconds | None = Field(
        60.0,
        description="At least this often, if the disk keeps up: what is lost if every machine "
        "dies at once.",
    )
    keep_last: Positive = Field(3, description="Newest ones that stay; two guard against damage.")
    keep_best: int = Field(1, ge=0, description="Best ones by metric that stay as well.")
    metric: str = Field("loss", description="Of validation; accuracy and top5 count upwards.")


class Balance(Section):
    """How the global batch is cut among ranks. Never changes the mathematics."""

    policy: Literal["adaptive", "static", "dynamic", "equal", "fixed"] = Field(
        "adaptive",
        description="adaptive follows each rank's own measured speed, fixed costs told apart from "
        "those of a sample; static keeps to the speeds of --profiles, or else to those measured "
        "before the first step, or in the first three of a script; dynamic gives in proportion to "
        "the last speed; equal ignores speeds; fixed cuts by weights.",
    )
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(
        None, description="Of the ranks in their order, for policy fixed; only ratios matter."
    )
    window: Positive = Field(
        8, description="Steps between two looks at the speeds; a look also covers at least 2 s."
    )
    min_gain: Fraction = Field(
        0.03, description="Predicted gain of a step's time below which shares stay as they are."
    )
    min_share: Fraction = Field(
        0.0, description="Least part of the batch that any rank takes; a sample in any case."
    )
    max_share: float = Field(
        1.0, gt=0, le=1, description="Largest part of the batch that any rank takes."
    )
    park: bool = Field(
        True, description="Let a rank that adds less than 2 % to the speed stand aside, until it "
        "would help; for policy adaptive.",
    )  # fmt: skip

    @property
    def parks(self) -> bool:
        return self.park and self.policy == "adaptive"

    @property
    def measured(self) -> bool:
        """Whether shares follow speeds, at least those at the start."""
        return self.policy not in ("equal", "fixed")

    @property
    def bounded(self) -> bool:
        """Whether shares heed the bounds of a rank."""
        return self.policy in ("adaptive", "static")

    @model_validator(mode="after")
    def _weighed(self) -> Balance:
        if (self.policy == "fixed") != (self.weights is not None):
            raise conflict(
                "weights and policy = 'fixed' belong together",
                ("policy", "weights"),
                "give both, such as weights = [2, 1] for two ranks, or neither",
            )
        if self.weights is not None and not any(self.weights):
            raise conflict(
                "no rank would get a sample", ("weights",), "set one weight or more above 0"
            )
        if self.min_share > self.max_share:
            raise conflict(
                f"min_share ({self.min_share:g}) is above max_share ({self.max_share:g})",
                ("min_share", "max_share"),
                "lower one or raise the other",
            )
        return self


class Membership(Section):
    """When a process counts as lost. Evidence (a closed connection) counts at once."""

    heartbeat_s: Seconds = Field(0.5, description="Agents speak this often.")
    dead_s: Seconds = Field(3.0, description="Silence after which an agent counts as dead.")
    form_s: Seconds = Field(20.0, description="For a group to form, state copied included.")
    join_s: Seconds = Field(60.0, description="How long the start waits for all ranks.")
    halt_s: Seconds = Field(
        10.0, description="For ranks to reach a boundary they agree on, before the step is broken."
    )
    hang_s: Seconds = Field(
        30.0,
        description="A rank that shows no sign of getting on for so long, and for ten times as "
        "long as it ever did, is replaced; its stack is then in its log.",
    )
    on_partition: Literal["wait", "continue"] = Field(
        "wait",
        description="What a smaller part of the machines does that is cut off from the others: "
        '"wait" for them, or "continue"; when the parts meet again the higher step wins.',
    )
    standby: bool = Field(
        True,
        description="Keep one process per machine ready to replace a lost rank; of a torchrun "
        "script one for each rank, with torch imported, since all of them start anew.",
    )
    max_restarts: int = Field(
        5, ge=0, description="Times a rank may die without a step committed in between."
    )

    @model_validator(mode="after")
    def _order(self) -> Membership:
        if self.dead_s < 2 * self.heartbeat_s:
            raise conflict(
                f"dead_s ({self.dead_s:g}) is less than twice heartbeat_s ({self.heartbeat_s:g})",
                ("dead_s", "heartbeat_s"),
                "one late heartbeat must not look like a death: "
                f"set dead_s to {2 * self.heartbeat_s:g} or more",
            )
        return self


class Log(Section):
    """What is written down, and how often."""

    dir: str = Field("experiments", description="Where runs live, relative to the current folder.")
    every_s: Seconds = Field(0.5, description="Reports leave a rank at most this often.")
    every_steps: Positive = Field(1, description="Record every so many committed steps.")
    tensorboard: bool = Field(
        False, description="Write event files for TensorBoard into the run's folder as well."
    )


class Dashboard(Section):
    """The page in the browser that shows the run while it goes on."""

    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8501,
        description="Where the page is on this machine; the next free one if it is taken. 0: any.",
    )


class Local(Section):
    """How the job runs as processes of this machine."""

    workers: Positive | None = Field(
        None, description="Ranks. One per GPU, or one on a machine without, if not given."
    )
    cpu_workers: int = Field(
        0, ge=0, description="Ranks on the processor beside those of the GPUs."
    )
    threads: Positive | None = Field(
        None, description="Threads per rank; the quota divided by the ranks if not given."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="What to compute on; auto takes the GPUs there are."
    )
    agents: Positive = Field(
        1, description="Agents that share the ranks: more than one rehearses several machines."
    )

    @model_validator(mode="after")
    def _agents(self) -> Local:
        ranks = (self.workers or 1) + self.cpu_workers
        if self.agents > ranks:
            raise conflict(
                f"agents ({self.agents}) is above workers ({ranks})",
                ("agents", "workers"),
                f"every agent needs a rank: set workers to {self.agents} or more",
            )
        return self


class Job(Section):
    """One training: what to learn, from what, how. Where it runs is said elsewhere."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = Field(
        None,
        examples=["first-try"],
        description="What the run's folder is called: letters, digits, dot, dash, underscore. "
        "Without it: the job file's own name.",
    )
    model: Model
    data: Data
    train: Train
    script: ScriptConfig = Field(default_factory=ScriptConfig)
    validation: Validation = Validation()
    early_stopping: EarlyStopping | None = Field(
        None, description="When to end early; without this table: never."
    )
    sample: Sample | None = Field(None, description="Text samples; without this table: none.")
    checkpoint: Checkpoint = Checkpoint()
    balance: Balance = Balance()
    membership: Membership = Membership()
    log: Log = Log()
    dashboard: Dashboard = Dashboard()
    local: Local = Local()
    machines: tuple[MachineWish, ...] = ()
    image: Image = Image()
    env: Env = Env({})

    @property
    def is_torchrun(self) -> bool:
        """Whether a script of the user's does all of the training itself."""
        return bool(self.script.path) and self.script.kind == "torchrun"

    @property
    def is_own_loop(self) -> bool:
        """Whether a script of the user's brings the loop, and evener's engine trains."""
        return bool(self.script.path) and self.script.kind == "training"

    @property
    def batch_known(self) -> bool:
        """Whether the job says how many samples a step takes; if not, its script will."""
        return not self.script.path or "global_batch" in self.train.model_fields_set

    @model_validator(mode="after")
    def _fits(self) -> Job:
        if script_keys.brings(self.script, self.model, self.data):
            script_keys.check(
                self.script, {name: getattr(self, name) for name in script_keys.TABLES}
            )
            return self
        if self.train.steps is None and self.train.epochs is None:
            raise conflict(*LENGTHS)
        text_model = isinstance(self.model, Gpt | Bigram)
        text_data = isinstance(self.data, Text | Tokens)
        user = isinstance(self.model, UserModel) or isinstance(self.data, UserData)
        both = ("model.name", "data.name")
        if not user and text_model != text_data:
            raise conflict(
                f"model {self.model.name!r} cannot learn from data {self.data.name!r}",
                both,
                "it wants data 'text' or 'tokens'"
                if text_model
                else "text wants model 'gpt' or 'bigram'",
            )
        regression = isinstance(self.data, SyntheticRegression)
        if not user and regression and not isinstance(self.model, Linear | Mlp):
            raise conflict(
                f"model {self.model.name!r} cannot learn from data 'synthetic_regression'",
                both,
                "use model 'linear' or 'mlp'",
            )
        if self.sample is not None and not (text_data or user):
            raise conflict(
                f"[sample] writes text, and data {self.data.name!r} has none",
                ("sample", "data.name"),
                "remove [sample]; on the command line, -o sample= takes it out",
            )
        if not user and self.train.loss is None:
            self._measured()
        return self

    def _measured(self) -> None:
        """A misspelt metric would never be found, and nothing would ever be the best."""
        for key, section in (
            ("checkpoint", self.checkpoint),
            ("early_stopping", self.early_stopping),
        ):
            if section is not None and section.metric not in METRICS:
                raise conflict(
                    f"validation does not measure {section.metric!r}",
                    (f"{key}.metric",),
                    f"it measures {', '.join(METRICS)}; more come from a train.loss of your own",
                )
