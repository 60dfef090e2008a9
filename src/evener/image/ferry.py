"""Brings an image to engines that lack it. Runs in containers that have Python and their engine's
socket, and nothing else: one sends, the others fetch. Its own text is their command line.

    send IMAGE                  answers who asks with an archive of the layers that they lack
    fetch IMAGE SENDER NAME     gets it from there, unless it is there already

What arrives is what was sent: an engine takes a layer only if its content has the hash by which
the image names it.
"""

from __future__ import annotations

import http.client
import http.server
import json
import shutil
import socket
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import IO, Any, NoReturn, cast

ENGINE = "/var/run/docker.sock"
PORT = 8600
BLOCK_BYTES = 2**20
REACHED_S = 60.0  # for the sender to be there: both are started together
SILENT_S = 600.0  # a sender saves the whole image first


class ToEngine(http.client.HTTPConnection):
    """By the socket that is mounted from its machine."""

    def connect(self) -> None:
        if sys.platform == "win32":
            raise OSError("engines run Linux, and so does this")
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SILENT_S)
        self.sock.connect(ENGINE)

    def get(self, path: str) -> Any:
        """None where there is none."""
        self.request("GET", path)
        answer = self.getresponse()
        said = answer.read()
        return json.loads(said) if answer.status == 200 else None


def tell(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def give_up(reason: str) -> NoReturn:
    """On the stream that a service's log is asked for."""
    sys.stdout.write(reason + "\n")
    sys.exit(1)


def of_image(name: str) -> str:
    return "/images/" + urllib.parse.quote(name, safe="/:@")


# --------------------------------------------------------------------------------- sending


class Cargo:
    """The image as an archive on this container's own disk, made when the first one asks."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._turn = threading.Lock()
        self._file = ""

    def open(self) -> tarfile.TarFile:
        with self._turn:
            self._file = self._file or self._saved()
        return tarfile.open(self._file)

    def _saved(self) -> str:
        engine = ToEngine("engine")
        engine.request("GET", f"{of_image(self._image)}/get")
        answer = engine.getresponse()
        if answer.status != 200:
            raise OSError(answer.read().decode(errors="replace"))
        with tempfile.NamedTemporaryFile(delete=False) as file:
            shutil.copyfileobj(answer, file, BLOCK_BYTES)
        return file.name


def lacking(archive: tarfile.TarFile, stacks: Sequence[Sequence[str]]) -> Iterator[tarfile.TarInfo]:
    """All of an image's archive but the layers that another image of theirs stands on too."""
    layers, files = layers_of(archive)
    known = shared(layers, stacks)
    there = set(files[:known]) - set(files[known:])
    return (entry for entry in archive if entry.name not in there)


def shared(layers: Sequence[str], stacks: Sequence[Sequence[str]]) -> int:
    """How many of them, from the lowest on, one of those images has too."""
    return max((_common(layers, stack) for stack in stacks), default=0)


def ship(archive: tarfile.TarFile, stacks: Sequence[Sequence[str]], to: tarfile.TarFile) -> None:
    """What is lacking, into another archive."""
    for entry in lacking(archive, stacks):
        to.addfile(entry, archive.extractfile(entry) if entry.isreg() else None)


def layers_of(archive: tarfile.TarFile) -> tuple[list[str], list[str]]:
    """By the hash of their content, and by the file that each lies in: the lowest first."""
    told = manifest(archive)
    return list(_json(archive, told["Config"])["rootfs"]["diff_ids"]), list(told["Layers"])


def manifest(archive: tarfile.TarFile) -> Any:
    """Of the one image that an archive of ours holds."""
    [told] = _json(archive, "manifest.json")
    return told


def _json(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    assert file is not None
    return json.load(file)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for ours, theirs in zip(one, other):  # noqa: B905  (strict= is newer than some base images)
        if ours != theirs:
            break
        count += 1
    return count


class Counted:
    """Where an archive is written to."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.bytes = file, 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self.bytes += len(data)
        return len(data)


def send(image: str) -> None:
    cargo = Cargo(image)

    class Desk(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                archive = cargo.open()
            except OSError as error:
                self.send_error(500, explain=str(error))
                return
            self.send_response(200)
            self.end_headers()
            sent = Counted(cast("IO[bytes]", self.wfile))
            with archive, tarfile.open(fileobj=cast("IO[bytes]", sent), mode="w|") as shipped:
                ship(archive, asked["stacks"], shipped)
            tell({"to": asked["name"], "bytes": sent.bytes})

        def log_message(self, format: str, *values: object) -> None:
            """What was sent is said above."""

    http.server.ThreadingHTTPServer(("", PORT), Desk).serve_forever()


# -------------------------------------------------------------------------------- fetching


def fetch(image: str, sender: str, name: str) -> None:
    engine = ToEngine("engine")
    if engine.get(f"{of_image(image)}/json") is not None:
        return
    said = ""
    for stacks in (_stacks(engine), []):  # an engine that cannot do with parts gets all of it
        said = _load(sender, {"name": name, "stacks": stacks})
        if engine.get(f"{of_image(image)}/json") is not None:
            return
    give_up(said or "the engine took the image, and does not have it")


def _stacks(engine: ToEngine) -> list[list[str]]:
    """The layers of each image that is here."""
    found = (engine.get(f"/images/{each['Id']}/json") for each in engine.get("/images/json") or ())
    return [each["RootFS"].get("Layers") or [] for each in found if each]


def _load(sender: str, asked: dict[str, Any]) -> str:
    """What went wrong, in the engine's words."""
    answer = _ask(sender, json.dumps(asked).encode())
    if answer.status != 200:
        give_up(f"{sender} cannot send it: {answer.read().decode(errors='replace')}")
    engine = ToEngine("engine")
    blocks: Iterator[bytes] = iter(lambda: answer.read(BLOCK_BYTES), b"")
    form = {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}
    engine.request("POST", "/images/load?quiet=1", blocks, form, encode_chunked=True)
    told = engine.getresponse().read().decode(errors="replace")
    return "".join(line for line in told.splitlines() if "error" in line or "message" in line)


def _ask(sender: str, body: bytes) -> http.client.HTTPResponse:
    deadline = time.monotonic() + REACHED_S
    while True:
        try:
            connection = http.client.HTTPConnection(sender, PORT, timeout=SILENT_S)
            connection.request("POST", "/", body)
            return connection.getresponse()
        except OSError as error:
            if time.monotonic() > deadline:
                give_up(f"{sender} is not reached: {error}")
            time.sleep(0.5)


if __name__ == "__main__":
    try:
        if sys.argv[1] == "send":
            send(sys.argv[2])
        else:
            fetch(*sys.argv[2:])
    except (OSError, http.client.HTTPException) as error:
        give_up(f"{type(error).__name__}: {error}")
