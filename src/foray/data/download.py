"""Downloads: pooch with hashes and mirrors, and a downloader that resumes."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import logging
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pooch

from foray.data.storage import cache_lock, require_free_space
from foray.errors import DataError, DiskFullError
from foray.parsing import parse_json
from foray.progress import SILENT, Progress
from foray.records import write_text

_TIMEOUT_SECONDS = 60.0
_LOCK_WAIT_SECONDS = 24 * 3600.0  # another process downloads the same file: wait and use its result
_ATTEMPTS_A_MIRROR = 3  # each goes on where the one before was interrupted
_CHUNK_BYTES = 1 << 18
_HASHES = "hashes.json"


class _WebPage(Exception):
    """A login, quota or error page where the file should be."""


@dataclass(frozen=True)
class RemoteFile:
    """A file at its official place. `hash`: "md5:..." or "sha256:..." where one is published.

    `urls` are tried in order. Without a published hash, that of the first download is recorded and checked later.
    `about_bytes`: its size, as its page states it.
    """

    name: str
    urls: tuple[str, ...]
    hash: str | None = None
    about_bytes: int | None = None


def fetch(file: RemoteFile, folder: Path, *, offline: bool, manual: str, progress: Progress = SILENT) -> Path:
    """Path of `file` in `folder`, downloaded if it is not there. `manual`: how a person gets it, for the error.

    Raises DataError when it is not there and `offline` is set, or every mirror fails or sends something else.
    """
    target = folder / file.name
    if offline and not target.is_file():
        raise DataError(f"{file.name} is not in {folder} and offline mode is on. {manual}")
    logging.getLogger("pooch").setLevel(logging.WARNING)  # it would print; Progress tells instead
    if target.is_file() and _is_expected(target, file.hash or _recorded(folder).get(file.name)):
        return target
    with cache_lock(folder, wait_seconds=_LOCK_WAIT_SECONDS, what="download"):
        expected = file.hash or _recorded(folder).get(file.name)
        if target.is_file():
            if _is_expected(target, expected):  # another process has just got it
                return target
            if offline:
                raise DataError(f"{target} does not have the hash {expected}; it is damaged. Remove it. {manual}")
            progress.note(f"{target} does not have the expected hash; downloading it again.")
        if failures := _try_mirrors(file, folder, expected, progress):
            raise DataError(f"Cannot download {file.name}. {' '.join(failures)} {manual}")
        if file.hash is None and expected is None:
            digest = "sha256:" + pooch.file_hash(str(target), alg="sha256")
            write_text(folder / _HASHES, json.dumps({**_recorded(folder), file.name: digest}, indent=1))
    return target


def _is_expected(target: Path, digest: str | None) -> bool:
    return digest is None or pooch.hashes.hash_matches(target, digest)


def _try_mirrors(file: RemoteFile, folder: Path, expected: str | None, progress: Progress) -> list[str]:
    """Downloads from the first mirror that works. Nothing when one did, else why each did not, a sentence each."""
    failures: list[str] = []
    for url in file.urls:
        part = folder / f".{file.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part"
        downloader = _resuming_downloader(part, progress)
        reason = ""
        for _ in range(_ATTEMPTS_A_MIRROR):
            try:
                pooch.retrieve(url, expected, fname=file.name, path=folder, downloader=downloader)
                return []
            except _WebPage:
                reason = "the server sends a web page instead of the file"
                break
            except ValueError:  # pooch: another hash than the expected one; asking again would not help
                reason = "the file from the server does not have the expected hash"
                break
            except urllib.error.HTTPError as error:
                reason = f"HTTP status {error.code} ({error.reason})"
                break
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise DiskFullError(f"The disk is full while downloading {file.name} into {folder}.") from error
                reason = str(getattr(error, "reason", "") or error or type(error).__name__)
        failures.append(f"{url}: {reason}.")
        progress.note(f"{url} failed: {reason}.")
    return failures


def _resuming_downloader(part: Path, progress: Progress) -> Callable[[str, str, object], None]:
    """A downloader for pooch that keeps what came in `part` and asks for the rest (HTTP Range, RFC 9110 section 14).

    The rest is asked for only if the server named a validator (strong ETag or Last-Modified) with the first bytes and
    confirms that it still holds (If-Range); otherwise the download starts again.
    """
    validator = part.with_suffix(".validator")

    def download(url: str, output_file: str, _pooch: object) -> None:
        request = urllib.request.Request(url, headers={"User-Agent": "foray (dataset download)"})
        have = part.stat().st_size if part.is_file() and validator.is_file() else 0
        if have:
            request.add_header("Range", f"bytes={have}-")
            request.add_header("If-Range", validator.read_text(encoding="ascii"))
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
                _receive(response, part, validator, have, progress)
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink()  # longer than the file: of no use
                raise ConnectionError("the server refused to resume; starting again") from error
            raise
        validator.unlink(missing_ok=True)
        shutil.move(part, output_file)

    return download


def _receive(response: http.client.HTTPResponse, part: Path, validator: Path, have: int, progress: Progress) -> None:
    """Appends (status 206) or writes anew (status 200) the response to `part`. Raises ConnectionError if cut short."""
    if response.headers.get_content_type() == "text/html":
        raise _WebPage
    resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
    if resumed and not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
        part.unlink()
        raise ConnectionError("the server resumed at a wrong position")
    start = have if resumed else 0
    rest = response.headers.get("Content-Length")
    total = start + int(rest) if rest is not None else None
    require_free_space(part.parent, int(rest or 0), f"Downloading {part.name.lstrip('.')}")
    tag = response.headers.get("ETag", "")
    if confirms := (tag if tag.startswith('"') else response.headers.get("Last-Modified", "")):
        validator.write_text(confirms, encoding="ascii")
    with (
        part.open("ab" if resumed else "wb") as out,
        progress.task(f"Downloading {response.url}", total, start) as task,
    ):
        received = start + _copy(response, out, task.advance)
    if total is not None and received < total:
        raise ConnectionError(f"connection closed after {received:,} of {total:,} bytes")


def _copy(response: http.client.HTTPResponse, out: BinaryIO, advance: Callable[[int], None]) -> int:
    received = 0
    while chunk := response.read1(_CHUNK_BYTES):
        out.write(chunk)
        advance(len(chunk))
        received += len(chunk)
    return received


def _recorded(folder: Path) -> dict[str, str]:
    """Hashes of files downloaded before whose official hash is not known."""
    try:
        return {str(name): str(value) for name, value in parse_json((folder / _HASHES).read_bytes()).items()}
    except (OSError, ValueError, AttributeError):
        return {}
