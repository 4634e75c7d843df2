"""Says what the exported network beside this file sees in images: `python predict.py image.jpg ...`.

foray copies this file beside every artifact it exports, and uses it itself as foray.deploy.predict, so that a device
does what was certified. It needs numpy, Pillow and the one runtime of the artifact. From Python: `open_artifact` a
folder, `open_session` of it, then `classify` image files.
"""

from __future__ import annotations

import argparse
import errno
import functools
import glob
import hashlib
import importlib.util
import io
import json
import os
import re
import stat
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]
Source = Path | str | bytes  # of an image: its path, or the bytes of its file

SCHEMA_VERSION = 1  # of artifact.json, the newest that is understood here
READER_VERSION = 2  # of the pixels that `decode` makes of a file: who keeps pixels keeps this number with them
# Pictures made of pixels. Pillow goes by what is in a file, not by its name, and starts Ghostscript for an EPS.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000")
MOST_PIXELS_NAME = "FORAY_MAX_IMAGE_PIXELS"  # environment variable: most pixels that one image may have
# Of files that are taken for images where a folder is named.
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".avif",
)  # fmt: skip
# What operating systems and network drives put beside a person's files: thumbnails, recycle bins, indexes. Lower case.
_SYSTEM_NAMES = frozenset({
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r",
    "$recycle.bin", "recycler", "recycled", "system volume information", "found.000", "lost+found",
    "@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@recently-snapshot",
    "network trash folder", "temporary items", "__pycache__",
})  # fmt: skip
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
_RESIZES: dict[str, Callable[[int, int, int], int]] = {  # an artifact that does not say is an earlier one: "rounded"
    "cut": lambda side, short, target: target * side // short,
    "rounded": lambda side, short, target: round(target * side / short),
    "squashed": lambda side, short, target: target,
}
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
# A strip longer than this many times its short side is cut before the resize, which would otherwise blow a picture of
# 1 x 10,000 pixels up to 256 x 2,560,000. Real pictures stay far below.
_LONGEST_STRIP = 32
_MOST_THREADS, _MOST_BATCH, _MOST_PIXELS = 1024, 65536, 32 * 4096
# What steers a terminal, ends a line, turns it round or is no text: C0, DEL, C1, separators, bidirectional controls,
# lone surrogates.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_VNNI = frozenset({"avx512_vnni", "avx_vnni"})  # instructions that multiply an unsigned with a signed byte, exactly


class ArtifactError(Exception):
    """The artifact, its runtime or an image cannot be used; the message is for the user."""


class ImageError(ArtifactError):
    """One image cannot be read. `reason`: why, without the name of the file."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Cannot read the image {name}: {reason}.")
        self.reason = reason


class _UnknownRangeError(Exception):
    """Pixel values of which nothing says which is black and which is white. The message says what to do."""


def one_line(text: str) -> str:
    r"""`text`, a name or a message that holds one, as it may be printed: control characters as \u001b."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def regular(path: Path | str) -> Path:
    """`path`, if a regular file is there: a pipe, a socket or a device may wait for ever. Raises OSError."""
    mode = Path(path).stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory, not a file", str(path))
    if not stat.S_ISREG(mode):
        kind = "a named pipe (FIFO)" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
    return Path(path)


def read_image(source: Source) -> Pixels:
    """The image as upright 8-bit RGB, uint8 (H, W, 3). Raises ImageError. One thread at a time: see `decode`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        return np.asarray(decode(source))


def decode(
    source: Source, *, draft_side: int | None = None, reserve: Callable[[ImageFile, int], object] | None = None
) -> Image.Image:
    """The same for a pool of threads, whose owner silences Pillow's warnings once for all of them.

    The EXIF orientation is applied; transparency is laid on white; of an animation the first frame counts. Grey of
    more than 8 bits is scaled by the range that the file states. Without one, 16 bits keep their high byte, as Pillow
    does with 16-bit colour; whatever else leaves open which value is white is an error. With `draft_side`, a JPEG is
    decoded at 1/2, 1/4 or 1/8 of its size (libjpeg's scaled DCT) where both sides stay at least that many pixels:
    several times faster on photographs, and not the same pixels. `reserve` is called before the pixels are read, with
    the opened image and how many pixels the file has: it may wait for memory. Raises ImageError, also for a file that
    ends early and for more than 2 x `PIL.Image.MAX_IMAGE_PIXELS` pixels (a decompression bomb).
    """
    try:
        with open_image(source) as image:
            stored_pixels = image.width * image.height
            if draft_side is not None:
                image.draft("", (draft_side, draft_side))
            if reserve is not None:
                reserve(image, stored_pixels)
            samples = _samples_of(image)
            image.load()
            upright = _UPRIGHT.get(_orientation(image))
            rgb = _as_rgb(image, samples)
            return rgb if upright is None else rgb.transpose(upright)
    except Exception as error:  # on damaged bytes Pillow's decoders raise nearly every kind of exception
        raise ImageError("(bytes)" if isinstance(source, bytes) else str(source), _reason(source, error)) from error


def open_image(source: Source) -> ImageFile:
    """The file of an image in one of `FORMATS`, its header read and its pixels not. Raises whatever Pillow raises."""
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else regular(source), formats=_formats())


@functools.cache
def _formats() -> tuple[str, ...]:
    """`FORMATS`, and HEIF (photographs of phones) where the package pillow-heif is installed."""
    Image.preinit()  # the first five; Pillow loads the others, and all it knows, when it comes to them
    has_avif = importlib.util.find_spec("PIL.AvifImagePlugin") is not None  # from Pillow 11.3 on
    formats = tuple(name for name in FORMATS if name != "AVIF" or has_avif)
    if importlib.util.find_spec("pillow_heif") is None:
        return formats
    importlib.import_module("pillow_heif").register_heif_opener()
    return (*formats, "HEIF")


def set_pixel_limit() -> None:
    """Makes Pillow refuse images of more pixels than the environment variable FORAY_MAX_IMAGE_PIXELS says, if given.

    For programs, at their start: it holds for the whole process. Raises ArtifactError for what is no number of pixels.
    """
    text = os.environ.get(MOST_PIXELS_NAME)
    if text is None:
        return
    if not (text.isdecimal() and len(text) <= 12 and int(text) > 0):
        raise ArtifactError(
            f"{MOST_PIXELS_NAME} is {text!r}: write the most pixels an image may have, 400000000 for one."
        )
    Image.MAX_IMAGE_PIXELS = (int(text) + 1) // 2  # Pillow refuses what has more than twice as many


def prepare(pixels: Pixels, preprocessing: Mapping[str, Any]) -> Pixels:
    """uint8 (H, W, 3) -> uint8 (R, R, 3): what a network sees that does not resize by itself."""
    sizes = {key: preprocessing[key] for key in ("resolution", "resize_side", "interpolation")}
    return resize_and_crop(Image.fromarray(pixels), how=preprocessing.get("resize", "rounded"), **sizes)


def resize_and_crop(image: Image.Image, *, resolution: int, resize_side: int, interpolation: str, how: str) -> Pixels:
    """RGB image -> uint8 (R, R, 3): the short side resized to `resize_side`, then the central square of side R.

    `how`: what becomes of the long side; "cut" is what torchvision.transforms.Resize and timm do. The corner of the
    square is rounded half to even, as torchvision.transforms.CenterCrop(R) of an image that is nowhere smaller.
    """
    image = cut_strip(image)
    width, height = (_RESIZES[how](side, min(image.size), resize_side) for side in image.size)
    if (width, height) != image.size:
        image = image.resize((width, height), _FILTERS[interpolation])
    if (width, height) != (resolution, resolution):
        left, top = round((width - resolution) / 2), round((height - resolution) / 2)
        image = image.crop((left, top, left + resolution, top + resolution))
    return np.asarray(image)


def cut_strip(image: Image.Image) -> Image.Image:
    """The image, or the middle of one that is over 32 times as long as it is wide."""
    longest = _LONGEST_STRIP * min(image.size)
    if max(image.size) <= longest:
        return image
    width, height = min(image.width, longest), min(image.height, longest)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged metadata does not make the pixels unreadable
        return 1


@dataclass(frozen=True)
class _Samples:
    """What a file says of its pixel values, read before Pillow decodes them.

    `bits`: of a value; `significant`: how many of them PNG says count; `black`, `white`: the values that are so, as
    stated (white None: not stated); `negative`: 0 is white, and Pillow leaves it so; `factor`: by which Pillow scales
    the values, but not the transparent one.
    """

    bits: int = 8
    signed: bool = False
    significant: int | None = None
    black: float = 0.0
    white: float | None = None
    negative: bool = False
    factor: int = 1


def _samples_of(image: ImageFile) -> _Samples:
    arguments = image.tile[0][3] if image.tile else ""
    raw_mode, *others = arguments if isinstance(arguments, tuple) else (arguments,)
    bits = 16 if ";16" in str(raw_mode) or image.mode.startswith("I") else 8
    if image.format == "TIFF":
        return _samples_of_tiff(image.tag_v2)  # type: ignore[attr-defined]
    if image.format == "PNG" and bits == 16:
        return _Samples(bits, significant=_significant_bits(image))
    if image.format == "PNG":
        return _Samples(factor={"L;2": 85, "L;4": 17}.get(raw_mode, 1))
    if image.format == "PPM" and others and others[0] > 255:  # the largest value; Pillow has made 65535 of it in grey
        return _Samples(16, white=None if others[0] == 65535 else 65535)
    return _Samples(bits)


def _samples_of_tiff(tags: Mapping[int, Any]) -> _Samples:
    """By the tags of TIFF 6.0: BitsPerSample, PhotometricInterpretation, SampleFormat, S?Min- and S?MaxSampleValue."""

    def first(*names: int) -> Any:
        found = [value for name in names if (value := tags.get(name)) is not None]
        return (found[0][0] if isinstance(found[0], tuple) else found[0]) if found else None

    bits, kind = first(258) or 1, first(339) or 1  # 1: unsigned, 2: signed, 3: floating point
    black, white = float(first(340, 280) or 0), float(first(341, 281) or 0)
    if white <= black:  # not stated, or nonsense
        black, white = 0.0, 2.0**bits - 1 if kind == 1 and 8 < bits < 16 else 0.0
    if 0 < max(tags.get(320, (0,))) <= 255:  # ColorMap
        raise _UnknownRangeError("none of the 16-bit values in its palette is above 255; save it as RGB")
    return _Samples(
        bits,
        signed=kind == 2,
        black=black,
        white=white if white > black else None,
        negative=bits > 8 and first(262) == 0,
    )


def _significant_bits(image: ImageFile) -> int | None:
    """The chunk sBIT of a PNG, of grey or of red, which Pillow does not read. It comes before the pixels."""
    stream, found = image.fp, None
    assert stream is not None
    position = stream.tell()
    stream.seek(8)
    while found is None and len(head := stream.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
        if head[4:] == b"sBIT":
            found = int.from_bytes(stream.read(1), "big")
        stream.seek(int.from_bytes(head[:4], "big") + 4, io.SEEK_CUR)  # and a checksum
    stream.seek(position)
    return found


def _as_rgb(image: Image.Image, samples: _Samples) -> Image.Image:
    if image.mode[0] in "IF":
        return Image.fromarray(_grey_levels(image, samples)).convert("RGB")
    _require_depth(image, samples)
    if image.has_transparency_data:
        key = image.info.get("transparency")
        if isinstance(key, tuple) and samples.bits == 16:
            image.info["transparency"] = tuple(value >> 8 for value in key)
        elif isinstance(key, int) and samples.factor > 1:
            image.info["transparency"] = key * samples.factor
        picture = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _require_depth(image: Image.Image, samples: _Samples) -> None:
    """Raises where Pillow has cut values to 8 bits, or read them as unsigned, and others would have been right."""
    if samples.signed:
        raise _UnknownRangeError("signed pixels have no defined range; save it with unsigned 8 bits")
    if samples.bits != 16 or (samples.white or 0) >= 2**15:
        return
    if samples.white is not None:
        raise _UnknownRangeError(f"its 16-bit colours end at {samples.white:g}; save it with 8 bits per colour")
    largest = max(high for _, high in _extrema(image))
    if largest == 0 or (largest == 1 and image.format == "PPM"):  # where Pillow rounds
        raise _UnknownRangeError("none of its 16-bit colour values is above 255; save it with 8 bits per colour")


def _extrema(image: Image.Image) -> list[tuple[float, float]]:
    found: Any = image.getextrema()  # a pair, or a pair a channel
    return [found] if isinstance(found[0], int | float) else list(found)


def _grey_levels(image: Image.Image, samples: _Samples) -> Pixels:
    """Grey of more than 8 bits as 8 bits, uint8 (H, W), by what the file states. Raises _UnknownRangeError."""
    values = np.asarray(image)
    if image.mode == "I" and samples.bits == 32 and not samples.signed:
        values = values.view(np.uint32)
    black, white = samples.black, samples.white if samples.white is not None else _white_of(values, samples)
    smallest, largest = float(values.min()), float(values.max())
    if not black <= smallest <= largest <= white:  # nor is what is no number
        raise _UnknownRangeError(
            f"it states {black:g} as black and {white:g} as white, and has values from {smallest:g} to {largest:g}; "
            "save it with 8 bits"
        )
    grey = np.empty(values.shape, np.uint8)
    by_level = values.dtype.kind != "f" and white - black >= 255  # as many values in each of the 256 levels
    for start in range(0, len(values), 64):  # rows at a time: float64 takes eight times the memory of what it becomes
        above = values[start : start + 64].astype(np.float64) - black
        scaled = np.floor(above * 256 / (white - black + 1)) if by_level else np.rint(above * 255 / (white - black))
        grey[start : start + 64] = 255 - scaled if samples.negative else scaled
    if isinstance(transparent := image.info.get("transparency"), int):
        grey[values == transparent] = 255
    return grey


def _white_of(values: npt.NDArray[Any], samples: _Samples) -> float:
    """The value of white in a file that states none. Raises _UnknownRangeError."""
    if values.dtype.kind == "f" or samples.signed or samples.bits > 16:
        kind = "floating-point" if values.dtype.kind == "f" else f"{samples.bits}-bit {'signed ' * samples.signed}"
        raise _UnknownRangeError(
            f"{kind.strip()} pixels have no defined range; save it with 8 bits, or state the range in TIFF's tags "
            "SMinSampleValue and SMaxSampleValue"
        )
    if samples.significant is None:
        if 0 < values.max() <= 255:
            raise _UnknownRangeError(
                "none of its 16-bit values is above 255, and it does not say how many bits count; save it with 8 bits"
            )
        return 65535.0
    return 2.0**samples.significant - 1 if _in_low_bits(values, samples.significant) else 65535.0


def _in_low_bits(values: npt.NDArray[Any], bits: int) -> bool:
    """Whether values of `bits` bits lie as they are in 16, where PNG wants them scaled up: no scaling yields them."""
    if not 0 < bits < 16 or values.max() >= 2**bits:
        return False
    top = values.astype(np.float64) // 2 ** (16 - bits)
    by_shift, by_range = top * 2 ** (16 - bits), top * (65535 / (2**bits - 1))
    return not (np.array_equal(values, by_shift) or bool(np.abs(values - by_range).max() < 1))


def _reason(source: Source, error: Exception) -> str:
    if isinstance(error, _UnknownRangeError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if _is_empty(source):
        return "the file is empty (0 bytes)"
    if isinstance(error, UnidentifiedImageError):
        return f"it is not an image in a supported format ({', '.join(FORMATS)})"
    if isinstance(error, Image.DecompressionBombError):
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        return f"it has more than {most:,} pixels; if it is genuine, set {MOST_PIXELS_NAME} to a larger number"
    if "truncated" in str(error):
        return "the file is truncated"
    return f"damaged: {error}" if str(error) else f"damaged ({type(error).__name__})"


def _is_empty(source: Source) -> bool:
    try:
        return not (source if isinstance(source, bytes) else Path(source).stat().st_size)
    except (OSError, ValueError):  # gone meanwhile, or what no file can be called
        return False


@dataclass(frozen=True)
class Artifact:
    """A folder whose files are those that foray wrote. `description`: artifact.json; `labels`: a name a class."""

    folder: Path
    description: dict[str, Any]
    labels: list[str]

    @property
    def failed(self) -> str | None:
        """Why foray's certificate says that this file is not to be used, if it says so."""
        certificate = self.description.get("certificate") or {}
        return " ".join(certificate.get("failures", [])) if certificate.get("verdict") == "fail" else None


def open_artifact(folder: str | Path) -> Artifact:
    """Reads artifact.json and checks the files it names, which all lie in `folder`.

    Raises ArtifactError for what is damaged, missing or newer, and for a name or a link that leads out of `folder`.
    """
    folder = Path(folder)
    try:
        description = json.loads(_inside(folder, "artifact.json").read_bytes())
        version = description["schema_version"]
        if version > SCHEMA_VERSION:
            raise ArtifactError(
                f"{folder} is of version {version}, written by a newer foray; this reads version {SCHEMA_VERSION}. "
                "Update foray, or use the predict.py beside the artifact."
            )
        if description["kind"] != "foray artifact" or description["runtime"] not in RUNTIMES:
            raise ValueError(f"it describes a {description['kind']} for {description['runtime']}")
        if version != SCHEMA_VERSION:
            raise ValueError(f"it is of version {version}")
        _require_sense(description)
        for name in sorted({*_loaded(description), "labels.txt", *description["files"]}):
            _require_intact(_inside(folder, name), description["files"][name])
        labels = (folder / "labels.txt").read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    except OSError as error:
        missing = error.filename or folder
        raise ArtifactError(f"{folder} is not a complete artifact: {missing}: {error.strerror or error}.") from error
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        why = repr(error)[:200]
        raise ArtifactError(f"{folder / 'artifact.json'} is damaged ({why}). Export again.") from error
    if len(labels) != description["num_classes"]:
        raise ArtifactError(f"{folder}: labels.txt has {len(labels)} names for {description['num_classes']} classes.")
    return Artifact(folder, description, labels)


def _require_sense(description: Mapping[str, Any]) -> None:
    """Raises ValueError, or what a missing entry raises, for values that foray cannot have written."""
    given, how, certificate = description["input"], description["preprocessing"], description.get("certificate")
    sides = (description["resolution"], how["resolution"], given["height"], given["width"])
    sense = {
        "model": isinstance(description["model"], str),
        "precision": description["precision"] in ("fp32", "fp16", "bf16", "int8"),
        "params or macs": _is_count(description["params"]) and _is_count(description["macs"]),
        "num_classes": _is_count(description["num_classes"]),
        "resolution": None not in sides[:2] and all(side is None or _is_count(side, _MOST_PIXELS) for side in sides),
        "batch": given["batch"] is None or _is_count(given["batch"], _MOST_BATCH),
        "preprocessing": _is_count(how["resize_side"], _MOST_PIXELS) and how["interpolation"] in tuple(_FILTERS),
        "resize": how.get("resize", "rounded") in tuple(_RESIZES),
        "certificate": certificate is None or all(isinstance(why, str) for why in certificate.get("failures", [])),
    }
    if wrong := [name for name, makes_sense in sense.items() if not makes_sense]:
        raise ValueError(f"its {', '.join(wrong)} cannot be used")


def _is_count(value: object, most: float = float("inf")) -> bool:
    return isinstance(value, int) and 1 <= value <= most


def _loaded(description: Mapping[str, Any]) -> set[str]:
    """Names of the files that the runtime reads."""
    entry = description["entry"]
    return {entry, entry.removesuffix(".xml") + ".bin"} if description["runtime"] == "openvino" else {entry}


def _inside(folder: Path, name: str) -> Path:
    """The file `name` directly in `folder`. Raises OSError, and ArtifactError where a name or link leads elsewhere."""
    path = folder / name
    if path.name != name or name in ("", "..") or "\\" in name or "\0" in name:
        raise ArtifactError(
            f"{folder / 'artifact.json'} names {name!r}, which is not a file directly in the artifact's folder. "
            "It was not written by foray: nothing is loaded from it."
        )
    if path.resolve().parent != folder.resolve():
        raise ArtifactError(f"{path} is a link to a file outside the artifact's folder. Copy the file into it.")
    return regular(path)


def _require_intact(path: Path, expected: Mapping[str, Any]) -> None:
    content = path.read_bytes()
    if (len(content), hashlib.sha256(content).hexdigest()) != (expected["bytes"], expected["sha256"]):
        size = f"{len(content):,} bytes; {expected['bytes']:,} were exported"
        raise ArtifactError(f"{path} is damaged or was changed ({size}). Copy it again, or export it again.")


@dataclass(frozen=True)
class Session:
    """A loaded network. `batch`: how many images it takes at a time; None: any number. `classes`: None: not known."""

    run_batch: Callable[[Pixels], Probabilities]
    batch: int | None
    classes: int | None = None

    def run(self, images: Pixels) -> Probabilities:
        """uint8 (N, H, W, 3), N > 0 -> class probabilities, float32 (N, C). Raises ArtifactError where that fails."""
        size = self.batch or len(images)
        starts = range(0, len(images), size)
        try:
            rows = [self.run_batch(images[start : start + size]) for start in starts]
        except MemoryError:
            raise
        except Exception as error:  # every runtime has kinds of its own
            raise ArtifactError(f"The network cannot be run on {images.shape} images: {_first_line(error)}") from error
        found = rows[0] if len(rows) == 1 else np.concatenate(rows)
        if self.classes is not None and found.shape != (len(images), self.classes):
            raise ArtifactError(f"The network's output has shape {found.shape}, for {self.classes} classes.")
        return found


def open_session(artifact: Artifact, threads: int | None = None) -> Session:
    """Loads the network, to run on `threads` threads (default: one a core). Raises ArtifactError where that fails."""
    if threads is not None and not 1 <= threads <= _MOST_THREADS:
        raise ArtifactError(f"--threads must be a number from 1 to {_MOST_THREADS}, not {threads}.")
    package, open_ = RUNTIMES[artifact.description["runtime"]]
    path = artifact.folder / artifact.description["entry"]
    try:
        run_batch = open_(path, artifact.description, threads or cores())
    except ImportError as error:
        raise ArtifactError(f"{path} needs {package} ({error}). Install it: pip install {package}") from error
    except Exception as error:  # every runtime has kinds of its own
        raise ArtifactError(f"{path} cannot be loaded by {package}: {_first_line(error)}") from error
    return Session(run_batch, artifact.description["input"]["batch"], len(artifact.labels))


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def onnx_options(threads: int) -> Any:
    """Of an onnxruntime session on `threads` threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    if not _VNNI & processor_features():
        # x86 without VNNI: sums of products of bytes would saturate at 16 bits. Without effect on other processors.
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def processor_features() -> frozenset[str]:
    """What the processor can do, in Linux's words (flags of x86, Features of ARM); empty where nobody says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(word for line in lines if line.startswith(("flags", "Features")) for word in line.split())


def _open_onnx(path: Path, description: Mapping[str, Any], threads: int) -> Callable[[Pixels], Probabilities]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), onnx_options(threads), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def _open_openvino(path: Path, description: Mapping[str, Any], threads: int) -> Callable[[Pixels], Probabilities]:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    # Some CPUs would compute a float32 network in bfloat16 unless told not to.
    properties["INFERENCE_PRECISION_HINT"] = "bf16" if description["precision"] == "bf16" else "f32"
    sides = [description["input"][key] or -1 for key in ("height", "width")]

    @functools.cache  # by batch size: what is known beforehand runs faster
    def compiled(batch: int) -> Any:
        model.reshape([batch, *sides, 3])
        return core.compile_model(model, "CPU", properties)

    compiled(description["input"]["batch"] or 1)
    return lambda images: np.array(compiled(len(images))(images)[0])


def _open_litert(path: Path, description: Mapping[str, Any], threads: int) -> Callable[[Pixels], Probabilities]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    given, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(images: Pixels) -> Probabilities:
        interpreter.set_tensor(given, images)
        interpreter.invoke()
        return interpreter.get_tensor(result)  # type: ignore[no-any-return]

    return run


def _open_executorch(path: Path, description: Mapping[str, Any], threads: int) -> Callable[[Pixels], Probabilities]:
    import torch
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime

    _unsafe_reset_threadpool(threads)
    method = Runtime.get().load_program(path).load_method("forward")
    return lambda images: method.execute([torch.from_numpy(np.array(images))])[0].numpy().copy()


RUNTIMES = {  # the package that each needs, and how it loads a file
    "onnx": ("onnxruntime", _open_onnx),
    "openvino": ("openvino", _open_openvino),
    "litert": ("ai-edge-litert", _open_litert),
    "executorch": ("executorch", _open_executorch),
}


def classify(artifact: Artifact, session: Session, images: Iterable[Source]) -> Probabilities:
    """Image files to class probabilities, float32 (N, C) in the order of `artifact.labels`. Raises ImageError."""
    rows = [session.run(pixels_for(artifact, image)[None]) for image in images]
    return np.concatenate([np.empty((0, len(artifact.labels)), np.float32), *rows])


def pixels_for(artifact: Artifact, image: Source) -> Pixels:
    """What the network is given of an image: all of it where it resizes by itself, else the square it needs."""
    pixels = read_image(image)
    if artifact.description["input"]["height"] is not None:
        return prepare(pixels, artifact.description["preprocessing"])
    return np.asarray(cut_strip(Image.fromarray(pixels)))


@dataclass(frozen=True)
class Prediction:
    """One image. `probability` is of `label`; `top`: the most probable classes, best first.

    `error`: why the image cannot be read; the others are then empty and 0.
    """

    path: Path
    label: str = ""
    probability: float = 0.0
    top: list[tuple[str, float]] = field(default_factory=list)
    error: str = ""


def predict_images(artifact: Artifact, session: Session, images: Iterable[Path], top: int = 5) -> Iterator[Prediction]:
    """The most probable classes of each image file, one after the other; of one that cannot be read, why not."""
    for path in images:
        try:
            row = classify(artifact, session, [path])[0]
        except ImageError as error:
            yield Prediction(path, error=error.reason)
            continue
        best = [(artifact.labels[i], float(row[i])) for i in np.argsort(-row, kind="stable")[:top]]
        yield Prediction(path, *best[0], best)


def images_in(paths: Iterable[Path]) -> list[Path]:
    """The image files that a person names: each file as it is, of a folder all images in it and its folders, in order.

    A name with `*`, `?` or `[` that no file has is a pattern (some shells leave them as they are). Hidden files, and
    folders that systems make (`@eaDir`, `__MACOSX`), are passed over. Raises ArtifactError when none of them gives an
    image.
    """
    found: list[Path] = []
    missing: list[str] = []
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises for a name that is too long)
            inside = sorted(path.rglob("*"))  # links that lead nowhere and pipes too: reading them says what is wrong
            here = [file for file in inside if _is_picture(file.relative_to(path)) and not file.is_dir()]
        elif re.search(r"[*?\[]", str(path)) and not os.path.exists(path):  # noqa: PTH110
            names = glob.glob(str(path), recursive=True)  # noqa: PTH207 (of an absolute pattern Path.glob knows nothing)
            here = sorted(Path(name) for name in names if Path(name).is_file())
        else:
            here = [path]
        found += here
        missing += [] if here else [str(path)]
    if missing and not found:
        raise ArtifactError(f"{', '.join(missing)} gives no image: there is no file with the suffix of one.")
    return [*found, *map(Path, missing)]  # reading these says that nothing is there


def is_visible(name: str) -> bool:
    """Whether a name of a file or folder is neither hidden nor put there by an operating system or a network drive."""
    return not name.startswith(".") and name.lower() not in _SYSTEM_NAMES


def _is_picture(path: Path) -> bool:
    """Whether a path in a folder is that of an image by its suffix, and visible."""
    return all(map(is_visible, path.parts)) and path.name.lower().endswith((*IMAGE_SUFFIXES, ".heic", ".heif"))


class Arguments(argparse.ArgumentParser):
    """Of a command line whose words may be names of files that steer a terminal."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with the message and status 2."""
        super().error(one_line(message))


def main(arguments: Sequence[str] | None = None, folder: Path = Path(__file__).parent) -> int:
    """The command: one line per image, or JSON. Returns the exit status: 2 where something cannot be read."""
    parser = Arguments(description="Classify images with the network beside this file.")
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="image files, folders or patterns")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="classes named for each image (default: 5)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the runtime (default: one per core)")
    options = parser.parse_args(arguments)
    try:
        set_pixel_limit()
        artifact = open_artifact(folder)
        if artifact.failed is not None:
            print(one_line(f"predict.py: failed certification: {artifact.failed}"), file=sys.stderr)
        images = images_in(options.images)
        seen = predict_images(artifact, open_session(artifact, options.threads), images, max(options.top, 1))
        unreadable = _print_json(seen) if options.json else _print_lines(seen)
    except ArtifactError as error:
        print(one_line(f"predict.py: {error}"), file=sys.stderr)
        return 2
    return 2 if unreadable else 0


def _print_json(predictions: Iterable[Prediction]) -> int:
    """Returns how many images could not be read."""
    seen = list(predictions)
    print(json.dumps([asdict(prediction) for prediction in seen], default=str, indent=1))
    return sum(bool(prediction.error) for prediction in seen)


def _print_lines(predictions: Iterable[Prediction]) -> int:
    """Returns how many images could not be read."""
    unreadable = 0
    for prediction in predictions:
        if prediction.error:
            unreadable += 1
            error = ImageError(str(prediction.path), prediction.error)
            print(one_line(f"predict.py: {error}"), file=sys.stderr)
        else:
            seen_in_it = ", ".join(f"{label} {100 * p:.1f} %" for label, p in prediction.top)
            print(one_line(f"{prediction.path}: {seen_in_it}"))
    return unreadable


if __name__ == "__main__":
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as OpenVINO, ONNX Runtime would report to its maker
    sys.exit(main())
