"""Archives, unpacked once into the cache: no member leaves the target, no symbolic links, bounded in number and size.

The target is named after the archive's content, filled under a temporary name and renamed, under a lock. tarfile's data
filter is not used, because it takes links within the target and cuts the slash off absolute names; both are refused
here, of zip archives as of tar archives, and no member is ever extracted by tarfile or zipfile themselves.
"""

from __future__ import annotations

import errno
import json
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from foray.data.content import file_digests
from foray.data.dataset import some_names
from foray.data.storage import cache_lock, require_free_space
from foray.data.zip_names import zip_member_name
from foray.deploy.predict import is_visible
from foray.errors import DataError, DiskFullError
from foray.parsing import parse_json, shortened
from foray.progress import SILENT, Progress
from foray.records import write_text
from foray.regular_files import open_regular

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz")
_CHUNK_BYTES = 1 << 20
_SPACE_CHECK_BYTES = 256 << 20
_LOCK_WAIT_SECONDS = 3600.0  # another process unpacks the same archive: wait and use its result
_MARKER = "complete.json"
_DEEPEST = 64  # folders in folders
# What the readers of zip and tar raise on damaged bytes.
DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, LookupError,
    ArithmeticError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to. `ratio`: unpacked / packed bytes, looked at above `ratio_from_bytes`.

    JPEG and PNG hardly shrink (ratio near 1), uncompressed bitmaps shrink up to tens of times; a bomb, thousands.
    """

    members: int = 3_000_000
    total_bytes: int = 500 * 10**9
    ratio: float = 200.0
    ratio_from_bytes: int = 256 * 2**20


@dataclass(frozen=True)
class _Member:
    name: str
    stream: IO[bytes]
    packed_offset: int  # how far into the archive file this member ends or is read, bytes


def is_archive(path: Path) -> bool:
    """Whether the name has a suffix that `unpack` knows."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def archive_stem(path: Path) -> str:
    """The name without its archive suffix: `images.tar.gz` -> `images`."""
    suffix = max((suffix for suffix in ARCHIVE_SUFFIXES if path.name.lower().endswith(suffix)), key=len, default="")
    return path.name[: len(path.name) - len(suffix)]


def unpack(archive: Path, *, cache_dir: Path, limits: Limits | None = None, progress: Progress = SILENT) -> Path:
    """Folder with the archive's files; unpacked on the first call, found again by content on later ones.

    Raises DataError when the archive is damaged, encrypted, unsafe or beyond `limits`, DiskFullError when it does not
    fit. Hidden files and those of operating systems are left out.
    """
    digest = file_digests([archive], cache_dir=cache_dir, progress=progress)[0]
    home = cache_dir / "unpacked" / f"{archive_stem(archive)[:60]}-{digest[:16]}"
    target = home / "files"
    if _is_complete(home, target):
        return target
    with cache_lock(home, wait_seconds=_LOCK_WAIT_SECONDS, what="process"):
        if _is_complete(home, target):
            return target
        for leftover in home.glob(".part-*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        require_free_space(home, archive.stat().st_size, f"Unpacking {archive.name}")
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=home))
        try:
            _extract(archive, part, limits or Limits(), progress)
            files, total = _measure(part)
            _remove_unpacked(target, part, archive)
            part.rename(target)
            write_text(home / _MARKER, json.dumps({"files": files, "bytes": total}))
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target


def _remove_unpacked(target: Path, part: Path, archive: Path) -> None:
    """Removes what is left of files unpacked earlier. Raises DataError where others were put among them."""
    if not target.exists():
        return
    unpacked, there = ({str(path.relative_to(home)) for path in home.rglob("*")} for home in (part, target))
    if foreign := there - unpacked:
        raise DataError(
            f"{target} holds {some_names(foreign)}, not from {archive.name}, which has to be unpacked there "
            "again. Move your own files elsewhere."
        )
    shutil.rmtree(target)


def _extract(archive: Path, target: Path, limits: Limits, progress: Progress) -> None:
    try:
        with progress.task(f"Unpacking {archive.name}", archive.stat().st_size) as task:
            packed_bytes, written, done = archive.stat().st_size, 0, 0
            for count, member in enumerate(_members(archive, target), start=1):
                if count > limits.members:
                    raise DataError(f"{archive} has more than {limits.members:,} members, which is refused.")
                path = target / _safe(member.name, archive)
                path.parent.mkdir(parents=True, exist_ok=True)
                with member.stream, path.open("xb") as out:
                    while chunk := member.stream.read(_CHUNK_BYTES):
                        before, written = written, written + len(chunk)
                        _check_size(archive, written, packed_bytes, limits)
                        if written // _SPACE_CHECK_BYTES > before // _SPACE_CHECK_BYTES:
                            require_free_space(target, _SPACE_CHECK_BYTES, f"Unpacking {archive.name}")
                        out.write(chunk)
                task.advance(max(0, member.packed_offset - done))
                done = max(done, member.packed_offset)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{archive} declares UTF-8 names but holds others. Unpack it yourself and give the folder."
        ) from error
    except DAMAGE as error:
        raise DataError(f"{archive} is damaged or cut short ({error}). Copy or download it again.") from error
    except RuntimeError as error:  # zipfile's way to ask for a password, or to name a compression it lacks
        raise DataError(f"{archive} cannot be unpacked: {error}. Unpack it yourself and give the folder.") from error
    except FileExistsError as error:
        twice = shortened(Path(error.filename).relative_to(target))
        raise DataError(f"{archive} holds the name {twice} twice.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"The disk is full while unpacking {archive.name} into {target.parent}.") from error
        raise DataError(f"{archive} cannot be unpacked: {_said(error, target)}.") from error


def _said(error: OSError, target: Path) -> str:
    """What the system says, and of which member."""
    said = error.strerror or str(error)
    inside = error.filename is not None and Path(error.filename).is_relative_to(target)
    return f"{shortened(Path(error.filename).relative_to(target))}: {said}" if inside else said


def _members(archive: Path, target: Path) -> Iterator[_Member]:
    """Regular visible files, in the order of the archive, each to be read before the next is asked for."""
    if archive.name.lower().endswith(".zip"):
        yield from _zip_members(archive)
    else:
        yield from _tar_members(archive, target)


def _zip_members(archive: Path) -> Iterator[_Member]:
    with open_regular(archive) as raw, zipfile.ZipFile(raw) as packed:
        for info in packed.infolist():
            name = zip_member_name(info, archive)
            _safe(name, archive)
            if stat.S_ISLNK(info.external_attr >> 16):
                raise DataError(f"{archive} holds a link ({name}), which is not accepted. Pack the files themselves.")
            if name.endswith("/") or not _is_wanted(name) or _is_root(name):
                continue
            with packed.open(info) as stream:
                yield _Member(name, stream, info.header_offset + info.compress_size)


def _tar_members(archive: Path, target: Path) -> Iterator[_Member]:
    with open_regular(archive) as raw, _open_tar(raw) as packed:
        for info in packed:
            _safe(info.name, archive)
            if info.isdir() or _is_root(info.name):
                continue
            if not info.isreg() and not info.islnk():  # a hard link is another name of a file in the archive
                kind = "a link" if info.issym() else "a device or other special file"
                raise DataError(
                    f"{archive} holds {kind} ({info.name}), which is not accepted. Pack the files themselves."
                )
            if not _is_wanted(info.name):
                continue
            if info.islnk():
                yield _Member(info.name, _linked(info, target, archive), raw.tell())
            elif (stream := packed.extractfile(info)) is not None:
                yield _Member(info.name, stream, raw.tell())
        # A whole archive ends with a block of zeros, which iterating has read; at the end of a cut one there is none.
        if packed.fileobj is not None and packed.fileobj.tell() == packed.offset:
            raise tarfile.ReadError("no end-of-archive block")


def _linked(info: tarfile.TarInfo, target: Path, archive: Path) -> IO[bytes]:
    """The file that a hard link is another name of: in the archive it comes first, so it is unpacked already."""
    try:
        return open_regular(target / _safe(info.linkname, archive))
    except OSError as error:
        raise DataError(
            f"{archive} holds a link ({info.name}) to {shortened(info.linkname)}, which is no file before it in the "
            "archive; that is refused. Pack the files themselves."
        ) from error


def _open_tar(raw: IO[bytes]) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=raw, mode="r:*")
    except tarfile.ReadError as error:  # a list of what every compression had to say
        raise tarfile.ReadError("its start is not that of a tar archive") from error


def _is_wanted(name: str) -> bool:
    return all(is_visible(part) for part in PurePosixPath(name).parts)


def _is_root(name: str) -> bool:
    """Whether a name, such as `.`, is that of the folder that everything is in."""
    return not PurePosixPath(name.replace("\\", "/")).parts


def _safe(name: str, archive: Path) -> PurePosixPath:
    """The member's path, relative and inside the target. Raises DataError otherwise."""
    path = PurePosixPath(name.replace("\\", "/"))
    drive = path.parts and path.parts[0].endswith(":")
    if path.is_absolute() or ".." in path.parts or drive or "\0" in name:
        shown = shortened(repr(name))
        raise DataError(f"{archive} holds the path {shown}, which points outside of it; such archives are refused.")
    if not name:
        raise DataError(f"{archive} is damaged: it holds an entry without a name. Pack the files again.")
    if len(path.parts) > _DEEPEST:
        raise DataError(f"{archive} holds folders nested more than {_DEEPEST} deep, which is refused.")
    return path


def _check_size(archive: Path, written: int, packed_bytes: int, limits: Limits) -> None:
    bomb = written > limits.ratio_from_bytes and written > limits.ratio * packed_bytes
    if bomb or written > limits.total_bytes:
        raise DataError(
            f"{archive} ({packed_bytes / 1e6:,.1f} MB) unpacks to more than {written / 1e6:,.0f} MB, which is refused. "
            "If it is genuine, unpack it yourself and give the folder."
        )


def _is_complete(home: Path, target: Path) -> bool:
    """Whether all files are still there: cleaners of temporary folders may have taken some."""
    try:
        expected = parse_json((home / _MARKER).read_bytes())
    except (OSError, ValueError):
        return False
    files, total = _measure(target)
    return bool(expected == {"files": files, "bytes": total})


def _measure(folder: Path) -> tuple[int, int]:
    """Number of files below `folder` and the sum of their sizes in bytes."""
    files = total = 0
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if entry.is_dir(follow_symlinks=False):
            inner_files, inner_total = _measure(Path(entry.path))
            files, total = files + inner_files, total + inner_total
        else:
            files, total = files + 1, total + entry.stat(follow_symlinks=False).st_size
    return files, total
