"""Any image file to 8-bit RGB, and a clear reason when a file cannot be read. Pillow only, no torch.

How a file is read is defined where it has to work without foray, in the reader that is copied beside exported networks
(foray.deploy.predict): training, evaluation and the device see the same pixels.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PIL import Image
from PIL.ImageFile import ImageFile

from foray.data.decoding_memory import SMALL_BYTES, bytes_to_decode, decoding_room
from foray.deploy.predict import ImageError, decode, open_image
from foray.errors import DataError

_NAMED_IN_MESSAGE = 5
# Formats of phones and cameras that Pillow does not read by itself, and the decoder that each needs. Of these
# pillow-heif is used where it is installed (deploy.predict).
FOREIGN_SUFFIXES = {
    ".heic": "pillow-heif", ".heif": "pillow-heif", ".jxl": "pillow-jxl-plugin", ".dng": "rawpy", ".cr2": "rawpy",
    ".cr3": "rawpy", ".nef": "rawpy", ".arw": "rawpy", ".orf": "rawpy", ".rw2": "rawpy", ".raf": "rawpy",
}  # fmt: skip


class ImageReadError(DataError):
    """One image cannot be read. `reason`: why, without the name of the file."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Cannot read the image {name}: {reason}.")
        self.reason = reason


class UnreadableImagesError(DataError):
    """Some images of a dataset cannot be read. `reasons`: why, by sample id; `ids`: those ids in dataset order."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        count = len(reasons)
        named = "; ".join(f"{id_} ({reason})" for id_, reason in list(reasons.items())[:_NAMED_IN_MESSAGE])
        more = f"; and {count - _NAMED_IN_MESSAGE:,} more" if count > _NAMED_IN_MESSAGE else ""
        images, them = ("1 image", "it") if count == 1 else (f"{count:,} images", "them")
        super().__init__(
            f"{images} cannot be read: {named}{more}. Remove {them}, or pass `skip_unreadable` to leave {them} out."
        )
        self.reasons = dict(reasons)
        self.ids = tuple(reasons)


def load_image(source: Path | str | bytes) -> Image.Image:
    """The image as upright 8-bit RGB. `source`: a path, or the bytes of a file. Raises ImageReadError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_image(source)


def read_image(source: Path | str | bytes, *, draft_side: int | None = None) -> Image.Image:
    """`load_image` for a pool of threads, whose owner silences Pillow's warnings once for all of them.

    Who resizes the picture at once takes `decoded`, which knows how long it is held.
    """
    with ExitStack() as held:
        return _decoded(source, draft_side, 0, held)


@contextmanager
def decoded(
    source: Path | str | bytes, *, draft_side: int | None = None, resize_side: int = 0
) -> Iterator[Image.Image]:
    """`read_image` for the block, in which the picture may be resized to `resize_side` pixels.

    Until the block ends it counts among what all threads together may hold (`decoding_memory`), for which this waits.

    With `draft_side`, a JPEG is decoded at 1/2, 1/4 or 1/8 of its size (libjpeg's scaled DCT) where both sides stay
    at least that many pixels: several times faster on photographs, and not the same pixels as a full decode.
    Raises ImageReadError, also for more than 2 x `PIL.Image.MAX_IMAGE_PIXELS` pixels (a decompression bomb).
    """
    with ExitStack() as held:
        image = _decoded(source, draft_side, resize_side, held)
        try:
            yield image
        finally:
            image.close()  # whoever still has it would keep its memory


def _decoded(source: Path | str | bytes, draft_side: int | None, resize_side: int, held: ExitStack) -> Image.Image:
    """The picture; `held` gives its memory back."""

    def reserve(image: ImageFile, stored_pixels: int) -> None:
        needed = bytes_to_decode(image, stored_pixels, resize_side)
        if needed > SMALL_BYTES:
            held.enter_context(decoding_room().taken(needed))

    try:
        return decode(source, draft_side=draft_side, reserve=reserve)
    except ImageError as error:
        name = "(bytes)" if isinstance(source, bytes) else str(source)
        raise ImageReadError(name, _missing_decoder(Path(name).suffix) or error.reason) from error


def _missing_decoder(suffix: str) -> str:
    """What is missing to read files of this suffix, and the way out; empty where nothing is."""
    decoder = FOREIGN_SUFFIXES.get(suffix.lower())
    if decoder is None or (decoder == "pillow-heif" and importlib.util.find_spec("pillow_heif") is not None):
        return ""
    install = "install it (pip install pillow-heif) or " if decoder == "pillow-heif" else ""
    return f"{suffix} needs the decoder {decoder}, which is not there; {install}convert the file to JPEG or PNG"


def size_and_mode(path: Path) -> tuple[tuple[int, int], str]:
    """(width, height) in pixels and Pillow's mode as stored, from the header alone. Raises whatever Pillow raises."""
    with open_image(path) as header:
        return header.size, header.mode
