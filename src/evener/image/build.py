"""Building a job's image where it is not there yet, from a folder that holds only what it needs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evener import contract, errors
from evener.config.schema import Image
from evener.docker import Engine
from evener.image import recipe
from evener.image.recipe import Recipe

Note = Callable[[str], None]
PACKAGE = Path(__file__).resolve().parent.parent
PINS = Path(__file__).with_name("pins.txt")
_STEP = re.compile(r"Step \d+/|#\d+ \[")
PUSH_S = 3600.0  # gigabytes over a slow link
CHECK_S = 120.0  # a cold disk reads torch slowly
NO_NAME = "<none>"
_LEFT_OUT = ("__pycache__", ".git", ".venv", "*.pyc", "experiments")


@dataclass(frozen=True, slots=True)
class Content:
    """What goes into an image besides libraries: `code` are the user's modules and packages."""

    image: Image
    cuda: str
    code: tuple[Path, ...] = ()


def whole(content: Content) -> Recipe:
    """One Dockerfile for all of it, with the tag of the same content in two layers."""
    if content.image.dockerfile:
        raise errors.BadCombination(
            "a Dockerfile of your own cannot be part of an export",
            where=f"image.dockerfile = {content.image.dockerfile}",
            fix="build it yourself, and name the image that it makes: image.base",
        )
    libraries, run = recipes(content)
    text = recipe.whole_text(content.image, content.cuda)
    return Recipe(run.tag, text, {**libraries.copies, **run.copies})


def recipes(content: Content) -> tuple[Recipe, Recipe]:
    """The libraries' recipe and, on it, the run's. Reads files; builds nothing."""
    image = content.image
    libraries = _own(image.dockerfile) if image.dockerfile else _libraries(content)
    text = recipe.run_text(libraries.tag)
    own = {f"{recipe.SITE_NAME}/evener": str(PACKAGE)}
    own |= {f"{recipe.CODE_NAME}/{path.name}": str(path) for path in content.code}
    run = recipe.identity([text, libraries.dockerfile], _digests(own))
    return libraries, Recipe(f"{recipe.RUN}:{run}", text, own)


def _libraries(content: Content) -> Recipe:
    image = content.image
    base_text = recipe.libraries_text(image, content.cuda)
    copies = {recipe.PINS_NAME: str(PINS)}
    if image.wheels is not None:
        copies[recipe.WHEELS_NAME] = str(_wheels(image.wheels))
    base = recipe.identity([base_text, PINS.read_text()], _listing(copies))
    return Recipe(f"{recipe.LIBRARIES}:{base}", base_text, copies)


def _own(dockerfile: str) -> Recipe:
    """The user's Dockerfile, built where it lies."""
    path = Path(dockerfile)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.DataMissing(
            f"this Dockerfile cannot be read: {error}",
            where=f"image.dockerfile = {dockerfile}",
            fix="correct the path, which starts from the job file's folder",
        ) from error
    tag = f"{recipe.LIBRARIES}:own-{recipe.identity([str(path.resolve())], {})}"
    return Recipe(tag, text, {}, context=str(path.resolve().parent))


def ensure(engine: Engine, content: Content, note: Note) -> str:
    """The tag of the job's image, which is there when this returns."""
    libraries, run = recipes(content)
    there = {each["tag"] for each in built(engine)}
    if run.tag in there and not libraries.context:
        return run.tag
    if libraries.context:
        _build_own(engine, libraries, note)
    elif libraries.tag not in there:
        note(f"building {libraries.tag}: torch and its company, once per version")
        try:
            _build(engine, libraries, note)
        finally:  # the classic builder leaves the stage that made them as an image without a name
            _sweep(engine, contract.LABEL_STAGE)
        _, run = recipes(content)  # it took minutes: the user's code may be another by now
    note(f"building {run.tag}: evener and your code, on top of it")
    _build(engine, run, lambda _: None)
    if libraries.context:
        _sweep(engine, contract.LABEL_IMAGE)  # what the tags were taken from
    try:
        _check(engine, run.tag, own=bool(libraries.context))
    except BaseException:  # the next run must not take it for one that was found fit
        engine.call("image", "rm", "--force", run.tag)
        raise
    return run.tag


def pushed(engine: Engine, tag: str, registry: str, note: Note) -> str:
    """The image's name by its digest in `registry`, where it is when this returns; with none, in
    the one that its name says."""
    name = f"{registry}/{tag}" if registry else tag
    look(engine, tag)
    note(f"pushing {name}")
    if registry:
        engine.call("image", "tag", tag, name)
    try:
        engine.call("push", "--quiet", name, timeout_s=PUSH_S)
    except errors.EvenerError:
        if registry:
            engine.call("image", "rm", name)  # the name alone: it is nowhere but here
        raise
    said = engine.call("image", "inspect", "--format={{json .RepoDigests}}", name)
    repository = name.rpartition(":")[0].removeprefix("docker.io/")
    digests: list[str] = json.loads(said)
    return next((each for each in digests if each.startswith(f"{repository}@")), name)


def pulled(engine: Engine, name: str, note: Note) -> str:
    """An image from a registry, under the name by which a run of the same content finds it."""
    note(f"pulling {name}")
    engine.call("pull", "--quiet", name, timeout_s=PUSH_S)
    labels = (look(engine, name)["Config"] or {}).get("Labels") or {}
    tag = str(labels.get(contract.LABEL_IMAGE) or name)
    if tag != name:
        engine.call("image", "tag", name, tag)
    return tag


def look(engine: Engine, image: str) -> dict[str, Any]:
    """What the engine knows of an image. Raises ImageMissing."""
    try:
        found: list[dict[str, Any]] = json.loads(engine.call("image", "inspect", image))
    except errors.ImageMissing as error:
        raise errors.ImageMissing(
            f"this engine has no image {image}",
            where="docker image inspect",
            fix="`evener image list` shows those that evener has built here; `evener image build "
            "JOB` builds one, `evener image pull` and `evener image load` bring one",
        ) from error
    return found[0]


def built(engine: Engine) -> list[dict[str, str]]:
    """Every image of ours on the engine, by tag, size and age in words."""
    found = engine.ask("image", "ls", "--filter", f"label={contract.LABEL_IMAGE}")
    return [
        {
            "tag": f"{each['Repository']}:{each['Tag']}",
            "size": each["Size"],
            "age": each["CreatedSince"],
        }
        for each in found
        if each["Tag"] != NO_NAME
    ]


def prune(engine: Engine) -> list[str]:
    """Remove those that no container is made of, what is built on others first; and what
    builds that did not come to their end have left without a name."""
    found = {each["tag"] for each in built(engine)}
    used = found & {each["Image"] for each in engine.ask("ps", "--all")}
    layers = dict(zip(sorted(found), layers_of(engine, sorted(found)), strict=True))
    removed = []
    for tag in sorted(found - used, key=_is_libraries):
        if any(layers[each][: len(layers[tag])] == layers[tag] for each in used):
            continue  # what is in use stands on these libraries
        engine.call("image", "rm", tag)
        removed.append(tag)
    for label in (contract.LABEL_STAGE, contract.LABEL_IMAGE):
        _sweep(engine, label)
    return removed


def layers_of(engine: Engine, images: Sequence[str]) -> list[list[str]]:
    """What each of them is stacked of, the lowest first."""
    if not images:
        return []
    said = engine.call("image", "inspect", "--format={{json .RootFS.Layers}}", *images)
    return [json.loads(line) or [] for line in said.splitlines()]


def _sweep(engine: Engine, label: str) -> None:
    """Remove images with that label that have no name and are in no use."""
    with contextlib.suppress(errors.MachineError):  # two at a time are one too many for an engine
        engine.call("image", "prune", "--force", f"--filter=label={label}")


def _is_libraries(tag: str) -> bool:
    return tag.startswith(f"{recipe.LIBRARIES}:")


def lay_out(what: Recipe, folder: Path) -> None:
    """Fill the folder that a builder is given."""
    for name in (recipe.SITE_NAME, recipe.CODE_NAME):
        (folder / name).mkdir()
    (folder / "Dockerfile").write_text(what.dockerfile, encoding="utf-8")
    for name, source in what.copies.items():
        _copy(Path(source), folder / name)


def _build(engine: Engine, what: Recipe, note: Note) -> None:
    with TemporaryDirectory(prefix="evener-image-") as temporary:
        lay_out(what, Path(temporary))
        file = str(Path(temporary) / "Dockerfile")
        engine.build(temporary, file, what.tag, _labels(what), lambda line: _step(line, note))


def _build_own(engine: Engine, what: Recipe, note: Note) -> None:
    """From the text that was read, so that what is named is what is built."""
    with TemporaryDirectory(prefix="evener-image-") as temporary:
        file = Path(temporary) / "Dockerfile"
        file.write_text(what.dockerfile, encoding="utf-8")
        note(f"building {what.tag} in {what.context}")
        labels = _labels(what)
        engine.build(what.context, str(file), what.tag, labels, lambda line: _step(line, note))


def _labels(what: Recipe) -> dict[str, str]:
    return {contract.LABEL_IMAGE: what.tag}


def _step(line: str, note: Note) -> None:
    """Of all that a builder says, the steps: `Step 3/9 : RUN ...`, or `#7 [2/4] RUN ...`."""
    if _STEP.match(line):
        note(f"  {line}")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    else:
        shutil.copy2(source, target)


def _check(engine: Engine, tag: str, *, own: bool) -> None:
    """An image that cannot import what it is for is found here, not by a rank that dies."""
    command = ("run", "--rm", "--network=none", tag, "python", "-c", recipe.TRIAL)
    try:
        engine.call(*command, timeout_s=CHECK_S)
    except errors.DockerFailed as error:
        fix = "image.base must have a Python of 3.11 or later that installs torch"
        if own:
            packages = shlex.join(recipe.PACKAGES)
            fix = f"add to the Dockerfile: a Python of 3.11 or later, and pip install {packages}"
        heard = error.what.splitlines()[-1].strip()
        raise errors.ImageUnfit(
            f"the image cannot run a rank: {heard}", where=tag, fix=fix
        ) from error


def _wheels(folder: str) -> Path:
    path = Path(folder)
    if not any(path.glob("*.whl")):
        raise errors.DataMissing(
            "there are no wheels in this folder",
            where=f"image.wheels = {folder}",
            fix=f"fill it: pip download -c {PINS} -d {folder} {' '.join(recipe.PACKAGES)}",
        )
    return path


def _listing(copies: Mapping[str, str]) -> dict[str, str]:
    """Wheels by name and size: their content is as their name says, and hundreds of megabytes."""
    return {
        f"{name}/{file.name}": str(file.stat().st_size)
        for name, source in copies.items()
        for file in _files(Path(source))
    }


def _digests(copies: Mapping[str, str]) -> dict[str, str]:
    return {
        f"{name}/{'' if file == Path(source) else file.relative_to(source).as_posix()}": digest
        for name, source in copies.items()
        for file, digest in ((each, _digest(each)) for each in _files(Path(source)))
    }


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        parts: Sequence[str] = file.relative_to(path).parts
        left_out = any(Path(part).match(pattern) for part in parts for pattern in _LEFT_OUT)
        if file.is_file() and not left_out:
            yield file
