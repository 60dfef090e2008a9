"""Fetch a public file once per machine: resumed after a cut, checked, and put in place whole.

The bytes wait in NAME.part until their checksum is right; only then does NAME exist. So whatever
dies, a file under its own name is complete. Proxies of the environment are used, as urllib does.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from evener.data import lock
from evener.data.cache import refusals
from evener.data.catalog import Remote
from evener.data.dataset import Report
from evener.errors import DownloadFailed, WrongValue

_SILENCE_S = 30.0  # a server that says nothing for so long counts as gone
_ATTEMPTS = 4  # in a row without a single new byte
_PAUSE_S = 0.5  # before the second attempt; doubled before each further one
_BLOCK = 256 * 1024
_REFUSED = (400, 401, 403, 404, 405, 410)  # asking again would change nothing
_TROUBLE = (OSError, http.client.HTTPException)  # URLError, timeouts and resets are OSErrors


class _CutError(Exception):
    """An attempt that ended early. `final`: another would end the same way."""

    def __init__(self, reason: str, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.final = final


def ensure_all(remotes: Sequence[Remote], folder: Path, mirror: str | None, report: Report) -> None:
    """All of the files are in `folder` afterwards, downloaded if they were not before."""
    for remote in remotes:
        try:
            _ensure(remote, folder, mirror, report)
        except DownloadFailed as error:
            missing = [r.name for r in remotes if not (folder / r.name).is_file()]
            raise _with_fix(error, f"put {', '.join(missing)} into {folder}") from error


def ensure_any(remotes: Sequence[Remote], folder: Path, mirror: str | None, report: Report) -> Path:
    """One of the files, which are the same set in several forms; the first by preference.

    The others are tried at a mirror only: the set's own address has all of them or none.
    """
    for remote in remotes:
        if (folder / remote.name).is_file():
            return folder / remote.name
    reasons = []
    for remote in remotes if mirror else remotes[:1]:
        try:
            return _ensure(remote, folder, mirror, report)
        except DownloadFailed as error:
            reasons.append(error)
    names = " or ".join(r.name for r in remotes)
    raise _with_fix(reasons[0], f"put {names} into {folder}") from reasons[0]


def _with_fix(error: DownloadFailed, by_hand: str) -> DownloadFailed:
    fix = (
        f"{by_hand}, set data.path to a folder that has the set's own files, or set data.mirror "
        "to another address"
    )
    return DownloadFailed(error.what, where=error.where, fix=fix)


def _ensure(remote: Remote, folder: Path, mirror: str | None, report: Report) -> Path:
    target = folder / remote.name
    if target.is_file():
        return target
    url = _checked_url(remote, mirror)
    with refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
        waiting = f"waiting for another process that downloads {remote.name}"
        with lock.hold(folder / f"{remote.name}.lock", lambda: report(waiting, 0, 0)):
            if not target.is_file():
                _download(url, remote, target, report)
    return target


def _checked_url(remote: Remote, mirror: str | None) -> str:
    url = remote.url(mirror)
    if not url.startswith(("http://", "https://")):
        what = f"{mirror!r} is no address to download from"
        raise WrongValue(what, where="data.mirror", fix="start it with http:// or https://")
    return url


def _download(url: str, remote: Remote, target: Path, report: Report) -> None:
    part = target.with_name(f"{remote.name}.part")
    reason = _pull_patiently(url, part, report)
    if not reason and not _is_right(part, remote):
        part.unlink()  # perhaps a remainder of other bytes: once more from the beginning
        reason = _pull_patiently(url, part, report)
        if not reason and not _is_right(part, remote):
            found = _md5(part)
            part.unlink()
            reason = f"what came has the MD5 sum {found}, not {remote.md5}"
    if reason:
        raise DownloadFailed(f"{remote.name} could not be downloaded: {reason}", where=url)
    part.replace(target)


def _pull_patiently(url: str, part: Path, report: Report) -> str:
    """Pull until all is there; else the reason why not. New bytes renew the patience."""
    failures, reason = 0, ""
    while failures < _ATTEMPTS:
        if failures:
            time.sleep(_PAUSE_S * 2 ** (failures - 1))
        before = _size(part)
        try:
            _pull(url, part, report)
            return ""
        except _CutError as cut:
            reason = cut.reason
            if cut.final:
                break
        failures = 1 if _size(part) > before else failures + 1
    return reason


def _pull(url: str, part: Path, report: Report) -> None:
    """One attempt, from where the last one ended if the server can do that."""
    have = _size(part)
    asked = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(asked, timeout=_SILENCE_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # nothing beyond what we have: the checksum decides
                return
            what = f"the server answered {error.code} {error.reason}"
            raise _CutError(what, error.code in _REFUSED) from error
    except _TROUBLE as error:
        raise _CutError(_said(error)) from error
    with answer:
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        _copy(answer, part, have if resumed else 0, report)


def _copy(answer: http.client.HTTPResponse, part: Path, have: int, report: Report) -> None:
    length = answer.headers.get("Content-Length", "")
    total = have + int(length) if length.isdigit() else 0
    done = have
    with part.open("ab" if have else "wb") as file:
        while True:
            try:
                block = answer.read(_BLOCK)
            except _TROUBLE as error:
                raise _CutError(_said(error)) from error
            if not block:
                break
            file.write(block)
            done += len(block)
            report(f"downloading {part.stem}", done, total)
        file.flush()
        os.fsync(file.fileno())
    if done < total:
        raise _CutError(f"the connection was cut after {done} of {total} bytes")


def _said(error: BaseException) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(cause) or type(cause).__name__


def _is_right(part: Path, remote: Remote) -> bool:
    return part.is_file() and _md5(part) == remote.md5


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
