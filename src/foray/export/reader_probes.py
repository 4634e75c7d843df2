"""Whether the reader that is shipped sees images as training does: small ones made so that the right pixels are known.

A test split may hold no photograph with an EXIF orientation, no transparency and no CMYK, and the device will. What
each file must come out as follows from how it was made, not from reading it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from foray.deploy import predict as reader

Pixels = npt.NDArray[np.uint8]

_EXIF_ORIENTATION = 0x0112
_MAX_SAMPLE_VALUE = 281


def reader_faults() -> list[str]:
    """The kinds of image that the reader (foray.deploy.predict) does not read as it must, in words."""
    wrong = []
    for kind, content, expected in _probes():
        try:
            right = np.array_equal(reader.read_image(content), expected)
        except reader.ArtifactError:
            right = False
        if not right:
            wrong.append(kind)
    return wrong


def is_own_reader(folder: Path) -> bool:
    """Whether predict.py in the folder of an artifact is the reader of this foray, byte for byte."""
    try:
        return (folder / "predict.py").read_bytes() == Path(reader.__file__).read_bytes()
    except OSError:
        return False


def _probes() -> Iterator[tuple[str, bytes, Pixels]]:
    """(kind, file, pixels (H, W, 3) it must come out as)."""
    pixels = np.random.default_rng(0).integers(0, 256, (7, 11, 3), dtype=np.uint8)
    grey = pixels[..., 0]
    yield "RGB", _png(Image.fromarray(pixels)), pixels
    for orientation, stored in _stored(pixels).items():
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = orientation
        yield f"EXIF orientation {orientation}", _png(Image.fromarray(stored.copy()), exif=exif), pixels
    yield "grey", _png(Image.fromarray(grey)), _grey(grey)
    yield "16-bit grey", _png(Image.fromarray(grey.astype(np.uint16) << 8 | 0x7F)), _grey(grey)
    stream = io.BytesIO()
    Image.fromarray(grey.astype(np.uint16)).save(stream, "TIFF", tiffinfo={_MAX_SAMPLE_VALUE: 255})
    yield "16-bit grey that states its range", stream.getvalue(), _grey(grey)
    opaque = grey > 127
    alpha = np.where(opaque, 255, 0).astype(np.uint8)[..., None]
    on_white = np.where(opaque[..., None], pixels, 255).astype(np.uint8)
    yield "transparency", _png(Image.fromarray(np.concatenate([pixels, alpha], axis=2))), on_white
    palette = Image.fromarray(grey % 5).convert("P")
    palette.putpalette(pixels.reshape(-1, 3)[:5].tobytes())
    yield "palette", _png(palette), pixels.reshape(-1, 3)[:5][grey % 5]
    inks = np.concatenate([255 - pixels, np.zeros_like(grey)[..., None]], axis=2)  # no black: red is less cyan
    stream = io.BytesIO()
    Image.frombytes("CMYK", (11, 7), inks.tobytes()).save(stream, "TIFF")
    yield "CMYK", stream.getvalue(), pixels


def _stored(upright: Pixels) -> dict[int, Pixels]:
    """How the pixels lie in a file of each EXIF orientation (EXIF 2.32, table 6): row 0, column 0 are what it names."""
    swapped = upright.transpose(1, 0, 2)
    return {
        2: upright[:, ::-1],  # row 0 top, column 0 right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: swapped,  # left, top
        6: swapped[::-1],  # right, top
        7: swapped[::-1, ::-1],  # right, bottom
        8: swapped[:, ::-1],  # left, bottom
    }


def _grey(values: Pixels) -> Pixels:
    return np.repeat(values[..., None], 3, axis=2)


def _png(image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()
