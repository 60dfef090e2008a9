"""The public data sets evener can fetch by itself: their files, addresses and checksums."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remote:
    """One file that can be downloaded. A mirror keeps it under its plain name."""

    name: str
    base: str
    md5: str  # published by the set's authors: guards against accidents, not against malice

    def url(self, mirror: str | None) -> str:
        return f"{(mirror or self.base).rstrip('/')}/{self.name}"


IDX_PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
_IDX = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "fashion_mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
}
_TORONTO = "https://www.cs.toronto.edu/~kriz"
# The binary form first: reading it needs no unpickling.
_ARCHIVES = {
    "cifar10": (
        Remote("cifar-10-binary.tar.gz", _TORONTO, "c32a1d4ab5d03f1284b67883e8d87530"),
        Remote("cifar-10-python.tar.gz", _TORONTO, "c58f30108f718f92721af3b95e74349a"),
    ),
    "cifar100": (
        Remote("cifar-100-binary.tar.gz", _TORONTO, "03b5dce01913d631647c71ecec9e9cb8"),
        Remote("cifar-100-python.tar.gz", _TORONTO, "eb9058c3a382ffc7106e4002c42a8d85"),
    ),
}


def idx_files(name: str) -> tuple[Remote, ...]:
    """The four files of MNIST or Fashion-MNIST, in the order of IDX_PARTS."""
    base, sums = _IDX[name]
    names = (f"{part}-ubyte.gz" for part in IDX_PARTS)
    return tuple(Remote(n, base, md5) for n, md5 in zip(names, sums, strict=True))


def archives(name: str) -> tuple[Remote, ...]:
    """The archives of CIFAR-10 or CIFAR-100; any one of them is the whole set."""
    return _ARCHIVES[name]
