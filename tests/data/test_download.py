"""Downloads from a server of our own that cuts, lies and refuses."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evener.data import catalog, download
from evener.data.catalog import Remote
from evener.data.dataset import silent
from evener.data.sources import open_data
from evener.errors import DiskFull, DownloadFailed, WrongValue
from tests.data.jobs import job, write_mnist

CONTENT = os.urandom(1_000_000)


@dataclass
class Server:
    """What it serves, how it misbehaves, and what it was asked for."""

    files: dict[str, bytes] = field(default_factory=lambda: {"/set/data.bin": CONTENT})
    cut_after: list[int] = field(default_factory=list)  # for each answer in turn
    knows_ranges: bool = True
    status: int = 0  # answer everything so
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range", "")
        self.asked.append(f"{handler.path} {wanted}".strip())
        content = self.files.get(handler.path)
        if self.status or content is None:
            handler.send_error(self.status or 404)
            return
        match = re.fullmatch(r"bytes=(\d+)-", wanted)
        first = int(match[1]) if match and self.knows_ranges else 0
        if first >= len(content):
            handler.send_error(416)
            return
        handler.send_response(206 if first else 200)
        if first:
            handler.send_header("Content-Range", f"bytes {first}-/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - first))
        handler.end_headers()
        stop = self.cut_after.pop(0) if self.cut_after else len(content)
        handler.wfile.write(content[first : first + stop])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "_PAUSE_S", 0.001)
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        served.address = f"http://127.0.0.1:{http.server_address[1]}/set"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield served
        http.shutdown()
        thread.join()


def remote(server: Server, content: bytes = CONTENT) -> Remote:
    return Remote("data.bin", server.address, hashlib.md5(content).hexdigest())


def get(server: Server, folder: Path, mirror: str | None = None) -> bytes:
    download.ensure_all([remote(server)], folder, mirror, silent)
    assert [p.name for p in folder.iterdir()] == ["data.bin"]
    return (folder / "data.bin").read_bytes()


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path / "new") == CONTENT
    assert get(server, tmp_path / "new") == CONTENT
    assert server.asked == ["/set/data.bin"]


def test_progress_is_told(server: Server, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    download.ensure_all([remote(server)], tmp_path, None, lambda *words: told.append(words))
    assert told[-1] == ("downloading data.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert len(told) > 2


def test_a_cut_connection_is_resumed_where_it_was_cut(server: Server, tmp_path: Path) -> None:
    server.cut_after = [300_000, 400_000]
    assert get(server, tmp_path) == CONTENT
    assert server.asked == [
        "/set/data.bin",
        "/set/data.bin bytes=300000-",
        "/set/data.bin bytes=700000-",
    ]


def test_new_bytes_renew_the_patience(server: Server, tmp_path: Path) -> None:
    server.cut_after = [1000] * 12
    assert get(server, tmp_path) == CONTENT


def test_a_server_without_ranges_begins_again(server: Server, tmp_path: Path) -> None:
    server.knows_ranges = False
    server.cut_after = [300_000]
    assert get(server, tmp_path) == CONTENT


def test_what_an_earlier_process_left_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:900_000])
    assert get(server, tmp_path) == CONTENT
    assert server.asked == ["/set/data.bin bytes=900000-"]


@pytest.mark.parametrize("left", [b"x" * 10, b"x" * 1_000_000, b"x" * 2_000_000])
def test_a_remainder_of_other_bytes_does_no_harm(
    server: Server, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "data.bin.part").write_bytes(left)
    assert get(server, tmp_path) == CONTENT


def test_a_wrong_file_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    server.files["/set/data.bin"] = b"another file"
    with pytest.raises(DownloadFailed, match="has the MD5 sum") as caught:
        get(server, tmp_path)
    assert hashlib.md5(b"another file").hexdigest() in caught.value.what
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_always_cuts_is_given_up(server: Server, tmp_path: Path) -> None:
    server.cut_after = [0] * 50
    with pytest.raises(DownloadFailed, match="cut after 0 of 1000000 bytes"):
        get(server, tmp_path)
    assert len(server.asked) == 4


def test_a_refusal_is_final_and_trouble_is_not(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(DownloadFailed, match="answered 404"):
        get(server, tmp_path)
    assert len(server.asked) == 1
    server.status = 503
    with pytest.raises(DownloadFailed, match="answered 503"):
        get(server, tmp_path)
    assert len(server.asked) == 5


def test_offline_says_which_files_to_put_where(server: Server, tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"
    files = [Remote(f"{n}.gz", nobody, "0") for n in "abc"]
    (tmp_path / "b.gz").write_bytes(b"by hand")
    with pytest.raises(DownloadFailed, match=r"a\.gz could not be downloaded: .*refused") as caught:
        download.ensure_all(files, tmp_path, None, silent)
    assert caught.value.where == "http://127.0.0.1:9/a.gz"
    assert caught.value.fix.startswith(f"put a.gz, c.gz into {tmp_path}, ")
    assert "data.mirror" in caught.value.fix


def test_one_of_several_forms_is_enough(server: Server, tmp_path: Path) -> None:
    other = Remote("other.bin", server.address, "0")
    forms = [other, remote(server)]
    with pytest.raises(DownloadFailed, match=r"other\.bin") as caught:
        download.ensure_any(forms, tmp_path, None, silent)
    assert f"put other.bin or data.bin into {tmp_path}" in caught.value.fix
    found = download.ensure_any(forms, tmp_path, server.address, silent)
    assert found == tmp_path / "data.bin"
    server.status = 500
    assert download.ensure_any(forms, tmp_path, None, silent) == found


def test_a_mirror_is_a_web_address(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WrongValue, match="no address to download from"):
        get(server, tmp_path, mirror="file:///etc")


def test_nobody_downloads_what_another_is_downloading(server: Server, tmp_path: Path) -> None:
    found: list[bytes] = []

    def work() -> None:
        download.ensure_all([remote(server)], tmp_path, None, silent)
        found.append((tmp_path / "data.bin").read_bytes())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4
    assert server.asked == ["/set/data.bin"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        get(server, tmp_path)


def test_a_whole_set_comes_from_a_mirror(
    server: Server, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(tmp_path, zipped=True)
    files = {p.name: p.read_bytes() for p in tmp_path.glob("*.gz")}
    server.files = {f"/set/{name}": data for name, data in files.items()}
    sums = [hashlib.md5(files[f"{p}-ubyte.gz"]).hexdigest() for p in catalog.IDX_PARTS]
    monkeypatch.setitem(catalog._IDX, "mnist", ("http://127.0.0.1:9", tuple(sums)))
    wanted = job({"name": "mnist", "mirror": server.address})
    assert len(open_data(wanted).train) == 12
    assert len(server.asked) == 4
    server.status = 500
    assert len(open_data(wanted).train) == 12
    assert (cache / "mnist" / "train-images-idx3-ubyte.gz").is_file()
