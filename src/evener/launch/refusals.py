"""Why machines of a Swarm do not start what they were given, as errors of ours.

Swarm and engines say it in words, of one task each (`docker service ps --no-trunc`). Decides only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evener import errors
from evener.docker import failures
from evener.docker.swarm import Task
from evener.errors import EvenerError

OTHERWISE = (
    "name a registry that all machines reach (image.registry), or bring it there yourself: "
    "docker save IMAGE | ssh MACHINE docker load"
)
_NO_IMAGE = re.compile(r"no such image|pull access denied|manifest unknown", re.IGNORECASE)
_BY_DIGEST = re.compile(r"\S+@sha256:\w+")
_ENDED = re.compile(r"non-zero exit")


@dataclass(frozen=True, slots=True)
class _Refusal:
    """`what` goes before the machines' names."""

    pattern: str
    kind: type[EvenerError]
    what: str
    fix: str


_REFUSALS = (
    _Refusal(
        r"bind source path does not exist",
        errors.DataMissing,
        "what the job reads is not there on",
        "bring it there under the same path, or have it sent: data.ship = true",
    ),
    _Refusal(
        r"invalid mount config|error while mounting|looking up volume plugin",
        errors.NotPermitted,
        "what the job reads may not be mounted on",
        "the engine's own words above say why; sent by data.ship = true it needs no mount",
    ),
    _Refusal(
        r"no suitable node.*insufficient resources",
        errors.DeviceMissing,
        "the GPUs that are asked for are not to be had on",
        "another service may have them (`docker service ls`), or that engine no longer advertises "
        "them: `evener swarm nodes` says",
    ),
    _Refusal(
        r"no suitable node",
        errors.StartFailed,
        "the Swarm no longer lets anything be started on",
        "`docker node ls` says whether it is drained or down; started again, the run is planned "
        "for those that are there",
    ),
    _Refusal(
        r"exec format error",
        errors.ImageUnfit,
        "the image is for another kind of processor than that of",
        "leave such machines out: `docker node update --availability=drain MACHINE`",
    ),
    _Refusal(
        r"vxlan|sandbox join failed|attaching to network failed|allocate network",
        errors.StartFailed,
        "the run's network does not come to be on",
        "its kernel needs the module vxlan, and 2377/tcp, 7946 and 4789/udp be open between all "
        "machines; restarting that engine lets go of what an earlier network has left",
    ),
)  # fmt: skip


def lacks_image(task: Task) -> bool:
    return bool(_NO_IMAGE.search(task.error))


def refused(tasks: Sequence[Task], words: Sequence[str] = ()) -> EvenerError:
    """Of the first one's kind, with all machines that say the same. `words` are the last ones of
    its container, if it had one."""
    said = tasks[0].error or tasks[0].state
    alike = (t.node or t.service for t in tasks if t.error == tasks[0].error)
    where = ", ".join(dict.fromkeys(alike))
    if lacks_image(tasks[0]):
        what = f"the run's image is not there on {where}: {said}"
        return errors.ImageMissing(what, where=where, fix=_of_image(said))
    for each in _REFUSALS:
        if re.search(each.pattern, said, re.IGNORECASE):
            return each.kind(f"{each.what} {where}: {said}", where=where, fix=each.fix)
    if known := failures.known(where, said):
        return known
    if _ENDED.search(said):
        lines = "".join(f"\n    {line}" for line in words)
        what = f"the container on {where} ended as soon as it was started: {said}{lines}"
        return errors.StartFailed(what, where=where, fix="the lines above are its own")
    return errors.StartFailed(
        f"no container is started on {where}: {said}",
        where=where,
        fix="`docker service ps --no-trunc` and that machine's engine say more",
    )


def _of_image(said: str) -> str:
    """Where a registry has it, the Swarm does not say why that one was not heard."""
    by_digest = _BY_DIGEST.search(said)
    if by_digest is None:
        return OTHERWISE
    return (
        f"`docker pull {by_digest[0]}` there says why: a registry without TLS must be named in its "
        "engine's insecure-registries, one with a password needs `docker login` on this manager"
    )
