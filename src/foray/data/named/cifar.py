"""cifar10 and cifar100: the official binary archives (never the pickled ones).

Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images". A record is one label byte (CIFAR-100: the
coarse label, then the fine one) and 3,072 pixel bytes: 32x32 red, then green, then blue, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foray.data.dataset import Dataset, ImageArray, Sample, Split
from foray.data.download import RemoteFile
from foray.data.named.descriptor import Grouping, NamedDataset, Request
from foray.errors import DataError
from foray.regular_files import read_regular_text, require_regular

_PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_LICENCE = "none stated; customary use is research and teaching with citation of Krizhevsky 2009"
_SIDE = 32


@dataclass(frozen=True)
class _Layout:
    """Where a set's parts lie in its archive. `label_bytes`: the last of them is the label used (the fine one)."""

    archive: RemoteFile
    folder: str
    parts: tuple[tuple[Split, str], ...]
    class_names: str
    label_bytes: int


_CIFAR10 = _Layout(
    archive=RemoteFile(
        "cifar-10-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        "md5:c32a1d4ab5d03f1284b67883e8d87530",  # published on the page
        about_bytes=162 * 2**20,
    ),
    folder="cifar-10-batches-bin",
    parts=(*(("train", f"data_batch_{i}.bin") for i in range(1, 6)), ("test", "test_batch.bin")),
    class_names="batches.meta.txt",
    label_bytes=1,
)
_CIFAR100 = _Layout(
    archive=RemoteFile(
        "cifar-100-binary.tar.gz",
        ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
        "md5:03b5dce01913d631647c71ecec9e9cb8",  # published on the page
        about_bytes=161 * 2**20,
    ),
    folder="cifar-100-binary",
    parts=(("train", "train.bin"), ("test", "test.bin")),
    class_names="fine_label_names.txt",
    label_bytes=2,
)


def _read_10(described: NamedDataset, request: Request) -> Dataset:
    return _read(described, request, _CIFAR10)


def _read_100(described: NamedDataset, request: Request) -> Dataset:
    return _read(described, request, _CIFAR100)


def _read(described: NamedDataset, request: Request, layout: _Layout) -> Dataset:
    folder = _folder(described, request, layout)
    try:
        names = read_regular_text(folder / layout.class_names).split()
    except UnicodeDecodeError as error:
        raise DataError(f"{folder / layout.class_names} is damaged: it is not UTF-8. Copy it again.") from error
    return Dataset(
        name=described.name,
        source=layout.archive.urls[0],
        classes=tuple(names),
        samples=tuple(_samples(folder, layout, len(names))),
        split_origin="",
        licence=described.licence,
    )


def _folder(described: NamedDataset, request: Request, layout: _Layout) -> Path:
    """The unpacked folder: the user's own, or that of the archive."""
    for own in (request.data_dir, request.data_dir and request.data_dir / layout.folder):
        if own and (own / layout.class_names).is_file():
            return own
    unpacked = described.unpacked(layout.archive, request)
    return unpacked / layout.folder


def _samples(folder: Path, layout: _Layout, classes: int) -> Iterator[Sample]:
    for split, name in layout.parts:
        records = _records(folder / name, layout.label_bytes)
        labels = records[:, layout.label_bytes - 1]
        if labels.size and labels.max() >= classes:
            raise DataError(f"{folder / name} holds label {labels.max()}, but there are {classes} classes.")
        planes = records[:, layout.label_bytes :].reshape(-1, 3, _SIDE, _SIDE)
        images = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))  # (N, 32, 32, 3)
        stem = Path(name).stem
        for i, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            yield Sample(id=f"{split}/{stem}/{i:05d}", image=ImageArray(pixels), label=int(label), split=split)


def _records(path: Path, label_bytes: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """(N, label_bytes + 3072) uint8."""
    try:
        require_regular(path)
        raw = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error
    size = label_bytes + 3 * _SIDE * _SIDE
    if raw.size == 0 or raw.size % size:
        raise DataError(f"{path} is cut short: {raw.size:,} bytes are not a whole number of {size:,}-byte records.")
    return raw.reshape(-1, size)


def _manual(layout: _Layout) -> str:
    return (
        f"Get {layout.archive.name} from {_PAGE} and give its folder with `data_dir`; JPEG copies in class folders "
        "can be given as `data` itself."
    )


_GROUPS = Grouping(
    "the pictures were found one by one on the web; their names are numbers",
    'Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images"',
)
CIFAR10 = NamedDataset(
    name="cifar10",
    title="CIFAR-10, 60,000 images of 32x32 pixels, 10 classes",
    licence=_LICENCE,
    page=_PAGE,
    read=_read_10,
    groups=_GROUPS,
    manual=_manual(_CIFAR10),
    files=(_CIFAR10.archive,),
)
CIFAR100 = NamedDataset(
    name="cifar100",
    title="CIFAR-100, 60,000 images of 32x32 pixels, 100 fine classes",
    licence=_LICENCE,
    page=_PAGE,
    read=_read_100,
    groups=_GROUPS,
    manual=_manual(_CIFAR100),
    files=(_CIFAR100.archive,),
)
