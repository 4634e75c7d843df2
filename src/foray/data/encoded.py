"""Encoded images where they lie: files, and members of an uncompressed tar, which need not be unpacked to be read."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from foray.data.archive import DAMAGE
from foray.data.class_folders import is_image
from foray.deploy.predict import is_visible
from foray.errors import DataError
from foray.regular_files import open_regular


@dataclass(frozen=True)
class EncodedImage:
    """`size_bytes` of `path` from byte `offset` on. `name`: path within the folder or archive; `changed_ns`: mtime."""

    name: PurePosixPath
    path: Path
    offset: int
    size_bytes: int
    changed_ns: int

    def read(self) -> bytes:
        """The encoded bytes. Raises OSError."""
        with open_regular(self.path) as stream:
            stream.seek(self.offset)
            return stream.read(self.size_bytes)

    @property
    def identity(self) -> tuple[str, int, int]:
        """What changes when the image does, without reading it; the same wherever the file is moved to."""
        return self.name.name, self.size_bytes, self.changed_ns


def encoded_files(root: Path, paths: Iterable[Path]) -> list[EncodedImage]:
    """Files below `root`. Raises OSError for one that is gone."""
    found = []
    for path in paths:
        status = path.stat()
        name = PurePosixPath(path.relative_to(root).as_posix())
        found.append(EncodedImage(name, path, 0, status.st_size, status.st_mtime_ns))
    return found


def images_in_tar(archive: Path) -> list[EncodedImage]:
    """The images of an uncompressed tar, found by its headers alone. Raises DataError when it is damaged or cut."""
    size_bytes = archive.stat().st_size
    found = []
    try:
        with open_regular(archive) as raw, tarfile.open(fileobj=raw, mode="r:") as packed:
            for member in packed:
                name = PurePosixPath(member.name.removeprefix("./"))
                if not member.isreg() or not is_image(Path(name)) or not all(map(is_visible, name.parts)):
                    continue
                if member.offset_data + member.size > size_bytes:
                    raise tarfile.ReadError(f"it ends within {name}")
                found.append(EncodedImage(name, archive, member.offset_data, member.size, int(member.mtime) * 10**9))
            # A whole archive ends with blocks of zeros; iterating ends silently within a header that is cut as well.
            raw.seek(packed.offset)
            if raw.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("no end-of-archive block")
    except DAMAGE as error:
        raise DataError(f"{archive} is damaged or cut short ({error}). Copy or download it again.") from error
    return found
