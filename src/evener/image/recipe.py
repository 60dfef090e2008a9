"""The Dockerfiles of a job's image, and what its tag says: the same content, the same tag.

Decides only. Both files are such that BuildKit and the classic builder take them.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evener import contract
from evener.config.schema import Image

LIBRARIES, RUN = "evener-libraries", "evener"
PINS_NAME, WHEELS_NAME, SITE_NAME, CODE_NAME = "pins.txt", "wheels", "site", "code"
MESH = "nebula"  # Debian's package, for who joins a pool in a container
PYPI = "pypi"  # torch as it comes from there: with CUDA
TORCH_INDEX = "https://download.pytorch.org/whl/"
# What a rank and its agent import. Versions are in the pins.
PACKAGES = (
    *("pydantic", "typer", "rich", "starlette", "uvicorn", "cryptography", "psutil"),
    *("torch", "numpy", "safetensors", "pillow", "tiktoken", "zeroconf"),
)
_ID_DIGITS = 12
# Fails where an image lacks what a rank, its agent or a head needs, in one line.
TRIAL = """\
import importlib, sys
if sys.version_info < (3, 11):
    sys.exit("its Python is " + sys.version.split()[0] + ", and 3.11 is needed")
missing = []
for name in ("evener.engine.worker", "evener.agent.agent", "evener.head.app", "PIL", "psutil",
             "tiktoken"):
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing.append(str(error))
if missing:
    sys.exit("; ".join(sorted(set(missing))))
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image to be, and the tag its content deserves.

    It is built in a folder of `copies`, or in `context`, a folder of the user's own: what lies
    there nobody knows, so the tag names the place, and the builder's own cache says what is new.
    """

    tag: str
    dockerfile: str
    copies: Mapping[str, str]  # name in the build folder: file or folder on this machine
    context: str = ""


def libraries_text(image: Image, cuda: str) -> str:
    """The Dockerfile of the libraries: one virtual environment, without what it was made from."""
    lines = [
        "# Python's environment is made in a stage of its own: wheels do not stay in the image.",
        f"FROM {image.start} AS made",
        f"LABEL {contract.LABEL_STAGE}=made",
        f"COPY {PINS_NAME} /tmp/{PINS_NAME}",
    ]
    if image.wheels is not None:
        lines.append(f"COPY {WHEELS_NAME} /tmp/{WHEELS_NAME}")
    lines += [
        "RUN python3 -m venv /opt/evener && \\",
        f"    /opt/evener/bin/pip install {' '.join(_pip_options(image, cuda))} \\",
        f"    {shlex.join([*PACKAGES, *image.pip])}",
        "",
        f"FROM {image.start}",
    ]
    if image.apt:
        lines += ["RUN " + _installing(image.apt)]
    if image.wheels is None and MESH not in image.apt:
        lines += [
            "# For the mesh of a pool. Where it cannot be had, runs do without it.",
            f"RUN ({_installing((MESH,))}) || \\",
            f"    echo 'there is no {MESH}: containers of this image are in no mesh'",
        ]
    lines += [
        "COPY --from=made /opt/evener /opt/evener",
        "ENV PATH=/opt/evener/bin:$PATH",
        "",
    ]
    return "\n".join(lines)


def run_text(libraries: str) -> str:
    """The Dockerfile of what is run: small copies on top of the libraries, whoever made those."""
    return f"FROM {libraries}\n{_own_text()}"


def whole_text(image: Image, cuda: str) -> str:
    """Both in one, for a folder that is built where evener is not."""
    return libraries_text(image, cuda) + _own_text()


def _own_text() -> str:
    site, code = contract.IMAGE_SITE, contract.IMAGE_CODE
    return "\n".join(
        [
            "USER root",
            f"COPY {SITE_NAME} {site}",
            "# Nobody can write it down later: every process would compile all that it imports.",
            "# The folders: in a container with disks of its own, volumes take over these rights.",
            "# As whom it runs, whoever starts it says.",
            f"RUN mkdir -p -m 1777 {contract.IMAGE_RUNS} {contract.IMAGE_CACHE} && \\",
            f"    (python -m compileall -qq --invalidation-mode unchecked-hash {site} || true)",
            f"COPY {CODE_NAME} {code}",
            f"ENV PYTHONPATH={site}:{code}${{PYTHONPATH:+:$PYTHONPATH}}",
            "# Numbered users without a name exist nowhere in the image: libraries ask for these.",
            "ENV HOME=/tmp USER=evener PYTHONDONTWRITEBYTECODE=1",
            "ENTRYPOINT []",
            "",
        ]
    )


def _installing(packages: Iterable[str]) -> str:
    return (
        "apt-get update && \\\n"
        f"    apt-get install -y --no-install-recommends {shlex.join(packages)} && \\\n"
        "    rm -rf /var/lib/apt/lists/*"
    )


def identity(texts: Iterable[str], contents: Mapping[str, str]) -> str:
    """A short name for a content: `contents` are digests by file name."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    for name in sorted(contents):
        digest.update(f"{name}\0{contents[name]}\0".encode())
    return digest.hexdigest()[:_ID_DIGITS]


def _pip_options(image: Image, cuda: str) -> list[str]:
    """From the given wheels alone, or from the registry and torch's own index of builds."""
    options = ["--no-cache-dir", "--disable-pip-version-check", f"-c /tmp/{PINS_NAME}"]
    if image.wheels is not None:
        return [*options, "--no-index", f"--find-links /tmp/{WHEELS_NAME}"]
    return options if cuda == PYPI else [*options, f"--extra-index-url {TORCH_INDEX}{cuda}"]
