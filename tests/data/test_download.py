"""Downloads against a real HTTP server on this machine: mirrors, hashes, interruption and resumption."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from foray.data.download import RemoteFile, fetch
from foray.errors import DataError

CONTENT = bytes(range(256)) * 8192  # 2 MiB
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MANUAL = "Get it from the moon and give its folder with --data-dir."


@dataclass
class Site:
    """What the server sends, and what it was asked. `cuts`: bytes after which the next answers are cut off."""

    url: str = ""
    content: bytes = CONTENT
    etag: str | None = '"v1"'
    content_type: str = "application/octet-stream"
    cuts: list[int] = field(default_factory=list)
    hold: threading.Event | None = None  # wait for it, instead of cutting off
    ranges: list[str | None] = field(default_factory=list)


def make_handler(site: Site) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            site.ranges.append(asked)
            if self.path == "/missing":
                self.send_error(404)
                return
            start = 0
            if asked and self.headers.get("If-Range") == site.etag:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(site.content):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
            else:
                self.send_response(200)
            body = site.content[start:]
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", site.content_type)
            if site.etag:
                self.send_header("ETag", site.etag)
            self.end_headers()
            sent = min(len(body), site.cuts.pop(0)) if site.cuts else len(body)
            self.wfile.write(body[:sent])
            if sent < len(body) and site.hold is not None:
                self.wfile.flush()
                site.hold.wait(60)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def site(monkeypatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    site = Site()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), make_handler(site))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def dead_url() -> str:
    """An address at which nobody listens: a port that was free a moment ago."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        port = server.server_port
    return f"http://127.0.0.1:{port}/images.zip"


def get(file: RemoteFile, folder: Path, *, offline: bool = False) -> Path:
    return fetch(file, folder, offline=offline, manual=MANUAL)


def test_a_file_is_downloaded_once(site, tmp_path, capfd):
    file = RemoteFile("images.zip", (f"{site.url}/images.zip",), SHA256)
    path = get(file, tmp_path)
    assert path.read_bytes() == CONTENT
    assert get(file, tmp_path) == path
    assert get(file, tmp_path, offline=True) == path
    assert len(site.ranges) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "images.zip"]
    assert capfd.readouterr() == ("", "")


def test_a_dead_mirror_and_a_missing_file_lead_to_the_next(site, tmp_path, dead_url):
    file = RemoteFile("images.zip", (dead_url, f"{site.url}/missing", f"{site.url}/images.zip"), SHA256)
    assert get(file, tmp_path).read_bytes() == CONTENT


def test_all_mirrors_dead_names_each_and_the_way_out(site, tmp_path, dead_url):
    file = RemoteFile("images.zip", (dead_url, f"{site.url}/missing"), SHA256)
    with pytest.raises(DataError) as caught:
        get(file, tmp_path)
    message = str(caught.value)
    assert f"{dead_url}: [Errno 111] Connection refused." in message
    assert f"{site.url}/missing: HTTP status 404 (Not Found)." in message
    assert message.endswith(MANUAL)


def test_a_wrong_hash_is_refused_and_leaves_nothing(site, tmp_path):
    site.content = b"something else"
    with pytest.raises(DataError, match="does not have the expected hash"):
        get(RemoteFile("images.zip", (f"{site.url}/images.zip",), SHA256), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_md5_as_some_official_pages_state_it(site, tmp_path):
    file = RemoteFile("images.zip", (f"{site.url}/images.zip",), "md5:" + hashlib.md5(CONTENT).hexdigest())
    assert get(file, tmp_path).read_bytes() == CONTENT


def test_without_an_official_hash_the_first_one_is_recorded_and_checked(site, tmp_path):
    file = RemoteFile("images.zip", (f"{site.url}/images.zip",))
    path = get(file, tmp_path)
    assert json.loads((tmp_path / "hashes.json").read_text()) == {"images.zip": SHA256}
    path.write_bytes(CONTENT[:-1])
    assert get(file, tmp_path).read_bytes() == CONTENT  # noticed, and downloaded again
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"does not have the hash .*; it is damaged"):
        get(file, tmp_path, offline=True)
    site.content = b"a new version"
    with pytest.raises(DataError, match="does not have the expected hash"):
        get(file, tmp_path)


def test_a_web_page_is_not_taken_for_the_file(site, tmp_path):
    site.content, site.content_type = b"<html>quota exceeded</html>", "text/html; charset=utf-8"
    with pytest.raises(DataError, match="sends a web page instead of the file"):
        get(RemoteFile("images.zip", (f"{site.url}/images.zip",)), tmp_path)


def test_an_interrupted_download_goes_on_where_it_was(site, tmp_path):
    site.cuts = [700_000, 600_000]
    path = get(RemoteFile("images.zip", (f"{site.url}/images.zip",), SHA256), tmp_path)
    assert path.read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=700000-", "bytes=1300000-"]


def test_what_came_before_all_attempts_failed_is_used_later(site, tmp_path):
    file = RemoteFile("images.zip", (f"{site.url}/images.zip",), SHA256)
    site.cuts = [100_000] * 3
    with pytest.raises(DataError, match="connection closed after 300,000 of 2,097,152 bytes"):
        get(file, tmp_path)
    assert get(file, tmp_path).read_bytes() == CONTENT
    assert site.ranges[-1] == "bytes=300000-"


def test_a_file_that_changed_meanwhile_starts_again(site, tmp_path):
    file = RemoteFile("images.zip", (f"{site.url}/images.zip",))
    site.cuts = [100_000] * 3
    with pytest.raises(DataError, match="connection closed"):
        get(file, tmp_path)
    site.content, site.etag = CONTENT[::-1], '"v2"'
    assert get(file, tmp_path).read_bytes() == CONTENT[::-1]


def test_a_server_that_names_no_version_is_not_resumed(site, tmp_path):
    site.etag, site.cuts = None, [100_000]
    assert get(RemoteFile("images.zip", (f"{site.url}/images.zip",), SHA256), tmp_path).read_bytes() == CONTENT
    assert site.ranges == [None, None]


def test_a_killed_process_leaves_what_the_next_one_goes_on_with(site, tmp_path):
    site.cuts, site.hold = [1 << 20], threading.Event()
    program = (
        "from pathlib import Path; from foray.data.download import RemoteFile, fetch\n"
        f"file = RemoteFile('images.zip', ({site.url + '/images.zip'!r},))\n"
        f"fetch(file, Path({str(tmp_path)!r}), offline=False, manual='')"
    )
    process = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "no_proxy": "127.0.0.1"})
    received = 0
    while received < (1 << 19) and process.poll() is None:
        received = sum(part.stat().st_size for part in tmp_path.glob(".*.part"))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    site.hold.set()
    path = get(RemoteFile("images.zip", (f"{site.url}/images.zip",), SHA256), tmp_path)
    assert path.read_bytes() == CONTENT
    start = int(site.ranges[-1].removeprefix("bytes=").removesuffix("-"))
    assert start >= received


def test_offline_names_the_place_and_the_way_out(tmp_path):
    with pytest.raises(DataError) as caught:
        get(RemoteFile("images.zip", ("http://192.0.2.1/images.zip",)), tmp_path, offline=True)
    assert str(caught.value) == f"images.zip is not in {tmp_path} and offline mode is on. {MANUAL}"
