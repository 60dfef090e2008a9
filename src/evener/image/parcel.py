"""An image as it is handed on: an archive, of which others fetch the parts that they lack.

    FOLDER/image.tar      as the engine has saved it
    FOLDER/image.json     what it is, and the hash of each file in it; written last

Whoever fetches puts the parts together again. A part that never changes is known by its hash: one
that breaks off goes on where it was, and is not believed before it has that hash.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from evener import errors, units, versions
from evener.docker import Engine
from evener.image import archive, build, ferry
from evener.rundir import layout
from evener.versions import Versions

VERSION = 1
ASK_S = 120.0  # a cold disk reads Python slowly
_ARCHIVE, _LIST = "image.tar", "image.json"
_INSIDE = (
    "import shutil; from evener.versions import installed; v = installed(); "
    "print(v.evener, v.torch or '-', 'yes' if shutil.which('nebula') else '-')"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KINDS = {kind.decode() for kind in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE,
                                     tarfile.LNKTYPE)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Label:
    """What whoever fetches must know before. `id` is that of the engine which has packed it; of an
    image that is only passed on, nobody has looked which `evener` and `torch` are in it."""

    name: str
    id: str
    architecture: str
    evener: str
    torch: str
    nebula: str = ""  # "yes" where it is in there


@dataclass(frozen=True, slots=True)
class Inside:
    """What is known of what is in an image, as `Label` has it."""

    evener: str = ""
    torch: str = ""
    nebula: str = ""


UNKNOWN = Inside()


@dataclass(frozen=True, slots=True)
class Part:
    """An entry of the archive; `sha256` is of a file's content, and its name for who asks."""

    name: str
    kind: str  # as in a tar
    link: str = ""
    size: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
    label: Label
    digests: Mapping[str, str] = field(repr=False)  # by name in the archive


# ---------------------------------------------------------------------------- who hands on


def pack(
    engine: Engine,
    image: str,
    folder: Path,
    note: Callable[[str], None],
    inside: Inside = UNKNOWN,
) -> Label:
    """Into `folder`, unless it is there; `inside` is what is known of it. Raises ImageMissing."""
    found = build.look(engine, image)
    name = _name(image, found["RepoTags"] or ())
    label = Label(name, found["Id"], found["Architecture"], **asdict(inside))
    known = read(folder)
    if known is not None and known.label == label:
        return label
    note(f"packing {image} ({units.show_size(found['Size'])}), to hand it on")
    shutil.rmtree(folder, ignore_errors=True)
    with archive.written(folder, "free some space: an image lies there as long as it is handed on"):
        folder.mkdir(parents=True, mode=0o700)
        archive.save(engine, image, folder / _ARCHIVE)
        told = {"v": VERSION, "label": asdict(label), "digests": _digests(folder / _ARCHIVE)}
        layout.write_json(folder / _LIST, told)
    return label


def _name(image: str, tags: Sequence[str]) -> str:
    """By which it will be known on other engines."""
    found = next((tag for tag in (image, f"{image}:latest") if tag in tags), "")
    if not found:
        raise errors.ImageUnfit(
            "an image is handed on by its name and tag",
            where=image,
            fix=f"write {' or '.join(tags)}" if tags else "give it one: docker tag IMAGE NAME:TAG",
        )
    return found


def fitting(engine: Engine, image: str) -> Inside:
    """What is in it. Raises ImageMissing; ImageUnfit where what runs in it would not train with
    what runs here."""
    build.look(engine, image)
    command = ("run", "--rm", "--network=none", image, "python", "-P", "-c", _INSIDE)
    build_one = "hand on one that `evener image build JOB` has made with this evener"
    try:
        evener, torch, nebula = engine.call(*command, timeout_s=ASK_S).split()
    except (errors.DockerFailed, ValueError) as error:
        raise errors.ImageUnfit(
            "there is no evener in this image", where=image, fix=build_one
        ) from error
    inside, own = Versions(evener, "" if torch == "-" else torch), versions.installed()
    differ = [name for name in versions.differing(inside, own) if name != "torch" or own.torch]
    if differ or not inside.torch:
        packages = tuple(differ) or ("torch",)
        raise errors.ImageUnfit(
            f"the image has {versions.named(inside, packages)}, and this machine "
            f"{versions.named(own, packages)}: they do not train together",
            where=image,
            fix=build_one,
        )
    return Inside(inside.evener, inside.torch, "" if nebula == "-" else nebula)


def _digests(file: Path) -> dict[str, str]:
    with tarfile.open(file) as opened:
        found = {}
        for entry in opened:
            content = opened.extractfile(entry) if entry.isreg() else None
            if content is not None:
                found[entry.name] = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
        return found


def read(folder: Path) -> Parcel | None:
    """None where nothing is packed."""
    if not (folder / _LIST).is_file():
        return None
    told = layout.read_json(folder / _LIST)
    return Parcel(Label(**told["label"]), told["digests"])


def lacking(folder: Path, parcel: Parcel, stacks: Sequence[Sequence[str]]) -> list[Part]:
    """What an engine needs whose images are made of the layers `stacks`."""
    with tarfile.open(folder / _ARCHIVE) as opened:
        return [
            Part(
                entry.name,
                entry.type.decode(),
                entry.linkname,
                entry.size,
                parcel.digests.get(entry.name, ""),
            )
            for entry in ferry.lacking(opened, stacks)
        ]


def opened(folder: Path, sha256: str) -> tuple[IO[bytes], int]:
    """At the beginning of the file with that content, and how long that is. KeyError where there
    is none; close it."""
    known = read(folder)
    names = {digest: name for name, digest in (known.digests if known else {}).items()}
    with tarfile.open(folder / _ARCHIVE) as whole:
        entry = whole.getmember(names[sha256])
    file = (folder / _ARCHIVE).open("rb")
    file.seek(entry.offset_data)
    return file, entry.size


# ------------------------------------------------------------------------------ who fetches


def understood(told: Any) -> tuple[Label, list[Part]]:
    """What was said of an image. Raises ValueError, TypeError or KeyError for anything else."""
    said = {"nebula": "", **told["label"]}  # an older pool says nothing of it
    label = Label(**{f: str(said[f]) for f in Label.__dataclass_fields__})
    parts = [
        Part(str(p["name"]), str(p["kind"]), str(p["link"]), int(p["size"]), str(p["sha256"]))
        for p in told["parts"]
    ]
    for part in parts:
        if part.kind not in _KINDS or not (_SHA256.fullmatch(part.sha256) or not part.size):
            raise ValueError(f"{part.name} is no part of an image")
    return label, parts


def put_together(parts: Sequence[Part], folder: Path, file: Path) -> None:
    """What has come into `folder`, each file under its hash, as an archive that an engine takes."""
    with tarfile.open(file, "w") as made:
        for part in parts:
            entry = tarfile.TarInfo(part.name)
            entry.type, entry.linkname, entry.size = part.kind.encode(), part.link, part.size
            entry.mode = 0o755 if entry.isdir() else 0o644
            if part.sha256:
                with (folder / part.sha256).open("rb") as content:
                    made.addfile(entry, content)
            else:
                made.addfile(entry)
