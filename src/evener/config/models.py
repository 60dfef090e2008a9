"""The models a job can name, each with its keys. Their descriptions become the reference page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from evener.config.section import USER_CODE, Fraction, Positive, Section, conflict, kind_of


class Linear(Section):
    """One linear layer: regression on flat features."""

    name: Literal["linear"] = "linear"


class Mlp(Section):
    """A plain perceptron on flattened input."""

    name: Literal["mlp"] = "mlp"
    hidden: tuple[Positive, ...] = Field((128, 128), description="Widths of the hidden layers.")
    dropout: Fraction = Field(0.0, description="Dropout after each hidden layer.")


class SimpleCnn(Section):
    """Two convolutions, two linear layers: small images in minutes on a laptop."""

    name: Literal["simple_cnn"] = "simple_cnn"
    dropout: Fraction = Field(0.0, description="Dropout before the last layer.")


class Resnet(Section):
    """ResNet with torchvision's parameter names; images under 64 pixels get the small stem."""

    name: Literal["resnet18", "resnet50"]
    weights: str | None = Field(
        None, description="A .pth or .safetensors file to start from (torchvision's names)."
    )


class Bigram(Section):
    """The next token from the last one alone."""

    name: Literal["bigram"] = "bigram"
    block_size: Positive = Field(8, description="Tokens in one sample.")


class Gpt(Section):
    """A GPT of nanoGPT's design. The defaults train in minutes on two CPU cores."""

    name: Literal["gpt"] = "gpt"
    block_size: Positive = Field(64, description="Tokens in one sample: the context.")
    n_layer: Positive = Field(4, description="Transformer blocks.")
    n_head: Positive = Field(4, description="Attention heads; divides n_embd.")
    n_embd: Positive = Field(128, description="Width of the embedding and of every block.")
    dropout: Fraction = Field(
        0.0, description="0 is best for short runs; 0.1 and up for long ones."
    )
    bias: bool = Field(
        False, description="Bias in linear and norm layers; without is a bit better."
    )

    @model_validator(mode="after")
    def _heads(self) -> Gpt:
        if self.n_embd % self.n_head:
            fitting = self.n_head * -(-self.n_embd // self.n_head)
            raise conflict(
                f"n_embd ({self.n_embd}) is no multiple of n_head ({self.n_head})",
                ("n_embd", "n_head"),
                f"n_head must divide n_embd: n_embd = {fitting} would do",
            )
        return self


class Torchvision(Section):
    """Any classifier of torchvision, as `torchvision:NAME`."""

    name: Annotated[
        str, Field(pattern=r"^torchvision:\w+$", examples=["torchvision:mobilenet_v3_small"])
    ]
    weights: str | None = Field(None, description="A .pth or .safetensors file to start from.")
    args: dict[str, Any] = Field({}, description="Keyword arguments of the model's builder.")


class UserModel(Section):
    """Your own: `package.module:build`, called as `build(shape, **args)`, returns an nn.Module."""

    name: Annotated[str, Field(pattern=USER_CODE, examples=["my_model:build"])]
    args: dict[str, Any] = Field({}, description="Keyword arguments of your function.")


class ScriptModel(Section):
    """What your script builds: it comes with [script], and is not to be written."""

    name: Literal["script"] = "script"


Model = Annotated[
    Annotated[Linear, Tag("linear")]
    | Annotated[Mlp, Tag("mlp")]
    | Annotated[SimpleCnn, Tag("simple_cnn")]
    | Annotated[Resnet, Tag("resnet18")]
    | Annotated[Resnet, Tag("resnet50")]
    | Annotated[Bigram, Tag("bigram")]
    | Annotated[Gpt, Tag("gpt")]
    | Annotated[Torchvision, Tag("torchvision")]
    | Annotated[ScriptModel, Tag("script")]
    | Annotated[UserModel, Tag("user")],
    Discriminator(kind_of),
]
