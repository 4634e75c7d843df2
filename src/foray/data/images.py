"""Any image file to 8-bit RGB, and a clear reason when a file cannot be read. Pillow only, no torch.

Choices, the same for training and evaluation: the EXIF orientation is applied; transparency is laid on white; 16-bit
grey keeps its high byte, which is what Pillow does to 16-bit colour; of an animation the first frame counts. A file
that ends early is an error, never a half grey picture.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from foray.errors import DataError

_EXIF_ORIENTATION = 0x0112  # EXIF 2.32, table 4, tag 274; the operation that undoes each value
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_NAMED_IN_MESSAGE = 5


class ImageReadError(DataError):
    """One image cannot be read. `reason`: why, without the name of the file."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Cannot read the image {name}: {reason}.")
        self.reason = reason


class _UnknownRangeError(Exception):
    """Pixel values that do not say which of them is white."""


class UnreadableImagesError(DataError):
    """Some images of a dataset cannot be read. `reasons`: why, by sample id; `ids`: those ids in dataset order."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        count = len(reasons)
        named = "; ".join(f"{id_} ({reason})" for id_, reason in list(reasons.items())[:_NAMED_IN_MESSAGE])
        more = f"; and {count - _NAMED_IN_MESSAGE:,} more" if count > _NAMED_IN_MESSAGE else ""
        images, them = ("1 image", "it") if count == 1 else (f"{count:,} images", "them")
        super().__init__(
            f"{images} cannot be read: {named}{more}. Remove {them}, or pass --skip-unreadable to leave {them} out."
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

    With `draft_side`, a JPEG is decoded at 1/2, 1/4 or 1/8 of its size (libjpeg's scaled DCT) where both sides stay
    at least that many pixels: several times faster on photographs, and not the same pixels as a full decode.
    Raises ImageReadError, also for more than 2 x `PIL.Image.MAX_IMAGE_PIXELS` pixels (a decompression bomb).
    """
    name = "(bytes)" if isinstance(source, bytes) else str(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if draft_side is not None:
                image.draft("", (draft_side, draft_side))
            image.load()
            return _upright(_as_rgb(image), _orientation(image))
    except ImageReadError:
        raise
    except Exception as error:  # on damaged bytes Pillow's decoders raise nearly every kind of exception
        raise ImageReadError(name, _reason(source, error)) from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # I;16 in its byte orders, and I, which holds 16 bits when read from PGM or PNG
        return _high_byte(image).convert("RGB")
    if image.mode == "F":
        raise _UnknownRangeError("floating-point pixels have no agreed range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _high_byte(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise _UnknownRangeError("32-bit pixels have no agreed range; save it with 8 or 16 bits")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged metadata does not make the pixels unreadable
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def _reason(source: Path | str | bytes, error: Exception) -> str:
    if isinstance(error, _UnknownRangeError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if (len(source) if isinstance(source, bytes) else _file_bytes(source)) == 0:
        return "the file is empty (0 bytes)"
    if isinstance(error, UnidentifiedImageError):
        return "it is not an image in a format that Pillow knows"
    if isinstance(error, Image.DecompressionBombError):
        return "it has more pixels than any honest picture (a decompression bomb?)"
    if "truncated" in str(error):
        return "the file is truncated"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"damaged: {error}" if str(error) else f"damaged ({type(error).__name__})"


def _file_bytes(path: Path | str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None
