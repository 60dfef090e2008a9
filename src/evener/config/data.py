"""The data a job can name, each with its keys. Their descriptions become the reference page."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from evener.config.section import USER_CODE, Positive, Section, conflict, kind_of


class Loading(Section):
    """What every kind of data shares."""

    workers: int = Field(
        0, ge=0, description="Loader processes per rank. 0 loads in the rank itself: right for "
        "data in memory; decoding images wants 1 to 4."
    )  # fmt: skip
    prefetch: Positive = Field(2, description="Batches prepared ahead, with workers.")


class OnDisk(Loading):
    """What every kind of data shares that lies in files of yours."""

    ship: bool = Field(
        False, description="Machines of a Swarm need not have `path`: each gets it from that where "
        "the run was started, checked by hashes. Elsewhere it changes nothing.",
    )  # fmt: skip
    volume: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", examples=["imagenet"],
        description="A volume of Docker's with the data in it, called so on every machine: "
        "containers find it at `path`. Elsewhere it changes nothing.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _has_what_to_ship(self) -> Self:
        path = getattr(self, "path", None)
        if self.ship and (not path or path.startswith("builtin:")):
            what = "there is nothing to ship: every machine gets these data by itself"
            raise conflict(what, ("ship",), "leave ship out, or say which files: path")
        if self.volume and not path:
            what = "containers would not find what is in the volume"
            raise conflict(what, ("volume",), "say where they are to look for it: path")
        if self.volume and self.ship:
            what = "what is in a volume on every machine need not be shipped"
            raise conflict(what, ("volume", "ship"), "keep one of them")
        return self


class SyntheticRegression(Loading):
    """y = w x + noise, with w drawn from the seed: what a linear model can learn."""

    name: Literal["synthetic_regression"] = "synthetic_regression"
    samples: Positive = Field(2048, description="Training samples.")
    validation_samples: Positive = Field(256, description="Validation samples.")
    features: Positive = Field(20, description="Numbers in one sample.")
    noise: float = Field(0.1, ge=0, description="Standard deviation of the noise on y.")


class SyntheticImage(Loading):
    """Images whose label can be read off them, so that accuracy rises."""

    name: Literal["synthetic_image"] = "synthetic_image"
    samples: Positive = Field(10_000, description="Training samples.")
    validation_samples: Positive = Field(1_000, description="Validation samples.")
    classes: int = Field(10, ge=2, description="How many labels there are.")
    size: Positive = Field(32, description="Pixels on a side.")
    channels: Positive = Field(3, description="Colour channels.")


class ImageFiles(OnDisk):
    """What the image sets on disk share."""

    path: str | None = Field(
        None, description="The folder with the set's own files. Without it: the cache, where the "
        "set is downloaded once."
    )  # fmt: skip
    augment: bool = Field(True, description="Random crop and flip, the same for a sample whoever "
                          "computes it.")  # fmt: skip
    mirror: str | None = Field(
        None, description="A base address to download from instead of the set's own."
    )


class Mnist(ImageFiles):
    """MNIST or Fashion-MNIST in the idx format, plain or gzipped."""

    name: Literal["mnist", "fashion_mnist"]
    augment: bool = Field(False, description="Random crop (no flip: digits are not symmetric).")


class Cifar(ImageFiles):
    """CIFAR-10 or CIFAR-100 in the binary or the python format, or its tar.gz."""

    name: Literal["cifar10", "cifar100"]


class Imagenet(ImageFiles):
    """Folders of images, one per class, under train/ and val/. Needs evener[images]."""

    name: Literal["imagenet"] = "imagenet"
    path: str = Field(description="The folder that holds train/ and val/.")
    size: Positive = Field(224, description="Pixels on a side after cropping.")


class Text(OnDisk):
    """A text file, or every .txt, .md and .py file of a folder."""

    name: Literal["text"] = "text"
    path: str = Field(
        description="A file or folder, relative to the job file; `builtin:python-manual` is the "
        "manual that comes with every Python."
    )
    tokenizer: (
        Literal["char", "byte"]
        | Annotated[str, Field(pattern=r"^bpe(:\w+)?$", examples=["bpe", "bpe:gpt2"])]
    ) = Field("char", description="char, byte, or bpe / bpe:NAME (tiktoken; needs evener[bpe]).")
    validation: float = Field(
        0.1, gt=0, lt=0.9, description="The last part of the text, kept for validation."
    )


class Tokens(OnDisk):
    """train.bin and val.bin of 16-bit tokens, as nanoGPT writes them."""

    name: Literal["tokens"] = "tokens"
    path: str = Field(description="The folder that holds train.bin and val.bin.")
    vocabulary: Positive = Field(50_304, description="Tokens the model must know.")


class UserData(Loading):
    """Your own: `package.module:build`, called as `build(split, **args)`, returns a data set."""

    name: Annotated[str, Field(pattern=USER_CODE, examples=["my_data:build"])]
    args: dict[str, Any] = Field({}, description="Keyword arguments of your function.")


class ScriptData(Loading):
    """What your script reads: it comes with [script]; only how it is loaded is to be written."""

    name: Literal["script"] = "script"


Data = Annotated[
    Annotated[SyntheticRegression, Tag("synthetic_regression")]
    | Annotated[SyntheticImage, Tag("synthetic_image")]
    | Annotated[Mnist, Tag("mnist")]
    | Annotated[Mnist, Tag("fashion_mnist")]
    | Annotated[Cifar, Tag("cifar10")]
    | Annotated[Cifar, Tag("cifar100")]
    | Annotated[Imagenet, Tag("imagenet")]
    | Annotated[Text, Tag("text")]
    | Annotated[Tokens, Tag("tokens")]
    | Annotated[ScriptData, Tag("script")]
    | Annotated[UserData, Tag("user")],
    Discriminator(kind_of),
]
