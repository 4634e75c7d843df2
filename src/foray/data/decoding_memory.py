"""How much memory images take while they are decoded, all threads together.

A picture just under the limit of decompression bombs takes gigabytes. Threads decode at the same time as long as their
pictures fit into a share of the machine's memory; a larger picture is decoded alone, but for small ones.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL.ImageFile import ImageFile

SMALL_BYTES = 4 * 2**20  # such pictures are not counted: a thread has one, and asking would take as long as decoding
_SHARE = 4  # pictures may take a quarter of the memory
# The C library keeps what a thread has freed for that thread alone. Of pictures larger than this part of the budget it
# is told to give it back, so that the threads do not hold one each; of others, taking it anew would cost too much.
_LARGE = 16
_UNKNOWN_MEMORY_BYTES = 4 * 2**30
_CGROUPS = Path("/sys/fs/cgroup")

# Bytes for each pixel, from the header to the upright RGB picture: measured as the peak of a process that decoded 20
# million pixels, with what a rotation adds. Pillow's RGB has four. Decoders that hold a whole frame of their own, or
# several copies, need more.
_BYTES = 8
_PROGRESSIVE_BYTES = 6  # of a JPEG as it is stored: libjpeg keeps all coefficients
_BYTES_OF_FORMAT = {"TIFF": 12, "WEBP": 24, "AVIF": 24, "JPEG2000": 32}
_CMYK_BYTES, _DEEP_BYTES, _TRANSPARENT_BYTES = 12, 16, 20
_LONGEST_STRIP = 32  # as the reader cuts what is longer


class DecodingRoom:
    """Memory that pictures take while they are decoded. `budget`: bytes that all may take together."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.taken_bytes = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, needed: int) -> Iterator[None]:
        """Waits until `needed` bytes fit beside what others take, or nobody takes any; gives them back at the end.

        In the order of arrival, so that large pictures do not wait for ever. Who holds some must not ask for more.
        """
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self.fits(needed))
            self.taken_bytes += needed
        try:
            yield
        finally:
            if needed > self.budget // _LARGE:
                _return_freed_memory()
            with self._changed:
                self.taken_bytes -= needed
                self._changed.notify_all()

    def fits(self, needed: int) -> bool:
        """Whether a picture of `needed` bytes may be decoded now."""
        return self.taken_bytes == 0 or self.taken_bytes + needed <= self.budget


def _return_freed_memory() -> None:
    """To the system, of all threads. malloc_trim is glibc's (malloc_trim(3)); others have none."""
    if (trim := _malloc_trim()) is not None:
        trim(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # no such function; TypeError: Windows
        return None


@functools.cache
def decoding_room() -> DecodingRoom:
    """The one of this process: a quarter of the memory that it may use."""
    return DecodingRoom(usable_memory_bytes() // _SHARE)


def bytes_to_decode(image: ImageFile, stored_pixels: int, resize_side: int = 0) -> int:
    """Bytes that decoding an opened picture takes at its peak, by its header, and resizing it to `resize_side` after.

    `stored_pixels`: of the file; `image.size` is smaller where a JPEG is decoded at a part of its size.
    """
    width, height = image.size
    each = _BYTES_OF_FORMAT.get(image.format or "", _BYTES)
    if image.mode[0] in "IF":
        each = max(each, _DEEP_BYTES)
    if image.mode == "CMYK":
        each = max(each, _CMYK_BYTES)
    if image.has_transparency_data:
        each = max(each, _TRANSPARENT_BYTES)
    coefficients = _PROGRESSIVE_BYTES * stored_pixels if image.info.get("progressive") else 0
    strip = min(max(width, height) / max(1, min(width, height)), _LONGEST_STRIP)
    return each * width * height + coefficients + int(4 * strip * resize_side**2)


def usable_memory_bytes() -> int:
    """Bytes that this process may use: the machine's memory, or less where a control group or ulimit -v says so."""
    limits = []
    with suppress(ValueError, OSError, AttributeError):  # AttributeError: Windows
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(ImportError, OSError, ValueError):
        import resource

        address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits += [address_space] if address_space != resource.RLIM_INFINITY else []
    for path in _limit_files():
        with suppress(OSError, ValueError):  # no such file, or "max"
            limits.append(int(path.read_text(encoding="ascii")))
    return min((limit for limit in limits if limit > 0), default=_UNKNOWN_MEMORY_BYTES)


def _limit_files() -> Iterator[Path]:
    """Where the memory limits of this process' control groups stand, and of those above: versions 2 and 1."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            root, file = (_CGROUPS / "memory", "memory.limit_in_bytes") if controllers else (_CGROUPS, "memory.max")
            folder = root / name.lstrip("/")
            yield from (above / file for above in (folder, *folder.parents) if above.is_relative_to(root))
