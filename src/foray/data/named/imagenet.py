"""imagenet: the ILSVRC2012 validation images (Russakovsky et al. 2015, arXiv:1409.0575), from a copy the user has.

All images are the test split: networks are evaluated on them, not trained. Classes are the 1000 in the order of all
common pretrained weights (sorted by WordNet id), also where a subset holds images of a few of them only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.data.archive import is_archive, unpack
from foray.data.class_folders import is_image, walk_files
from foray.data.dataset import Dataset, ImageFile, Sample, counted, some_names
from foray.data.encoded_images import EncodedImage, encoded_files, images_in_tar
from foray.data.named.descriptor import Grouping, NamedDataset, Request
from foray.data.named.imagenet_labels import GROUND_TRUTH, KAGGLE_LABELS, Labels, class_names, find_labels
from foray.errors import DataError
from foray.progress import SILENT, Progress
from foray.regular_files import is_there

_PAGE = "https://image-net.org/challenges/LSVRC/2012/"
_IMAGES = "ILSVRC2012_img_val.tar"
_DEVKIT = "ILSVRC2012_devkit_t12"


@dataclass(frozen=True, eq=False)
class ValidationImages:
    """Images in the order of their names with class indices (N,); `missing`: images with a label that are not there."""

    images: tuple[EncodedImage, ...]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    missing: int
    notes: tuple[str, ...]


def validation_images(
    data_dir: Path | None, *, cache_dir: Path, progress: Progress = SILENT, unpack_tar: bool = False
) -> ValidationImages:
    """The images in `data_dir` with their labels; those in an uncompressed tar are read where they lie.

    `data_dir`: a folder with images (flat, in class folders, or in val/) or with one archive of them, or that archive.
    Raises DataError when images or labels are missing or damaged, saying where they are officially found.
    """
    if data_dir is None or not is_there(data_dir):
        where = "" if data_dir is None else f"{data_dir} does not exist. "
        raise DataError(f"{where}imagenet cannot be downloaded without an account. {_MANUAL}")
    images = _images(data_dir, cache_dir, progress, unpack_tar=unpack_tar)
    if not images:
        raise DataError(f"{data_dir} holds no validation images. {_MANUAL}")
    home = data_dir if data_dir.is_dir() else data_dir.parent
    labels = find_labels(home, _devkit(home, cache_dir, progress), [image.name for image in images])
    if labels is None:
        raise DataError(f"{data_dir} holds images but no labels. {_MANUAL}")
    if unlabelled := [image.name.name for image in images if image.name.stem not in labels.index]:
        raise DataError(f"{counted(len(unlabelled), 'image')} without a label: {some_names(unlabelled)}.")
    if repeated := _repeated(images):
        raise DataError(f"{data_dir} holds {counted(len(repeated), 'image')} twice: {some_names(repeated)}.")
    images.sort(key=lambda image: image.name.name)
    missing = len(labels.index) - len(images)
    return ValidationImages(
        images=tuple(images),
        labels=np.array([labels.index[image.name.stem] for image in images], dtype=np.int64),
        classes=class_names(labels.names),
        missing=missing,
        notes=(_what_is_missing(labels, images),) if missing else (),
    )


def _read(described: NamedDataset, request: Request) -> Dataset:
    found = validation_images(request.data_dir, cache_dir=request.cache_dir, progress=request.progress, unpack_tar=True)
    return Dataset(
        name=described.name,
        source=described.page,
        classes=found.classes,
        samples=tuple(
            Sample(image.name.name, ImageFile(image.path), int(label), "test")
            for image, label in zip(found.images, found.labels, strict=True)
        ),
        split_origin="given: all validation images are test",
        licence=described.licence,
        notes=found.notes,
    )


def _images(data_dir: Path, cache_dir: Path, progress: Progress, *, unpack_tar: bool) -> list[EncodedImage]:
    """Images in val/, else in the folder, else in its only archive that is not the devkit."""
    archives = [data_dir]
    if data_dir.is_dir():
        folder = data_dir / "val" if (data_dir / "val").is_dir() else data_dir
        if files := [path for path in walk_files(folder) if is_image(path)]:
            return encoded_files(folder, files)
        archives = sorted(path for path in data_dir.iterdir() if is_archive(path) and _DEVKIT not in path.name)
    for archive in archives:
        if archive.suffix == ".tar" and not unpack_tar:
            images = images_in_tar(archive)
        else:
            unpacked = unpack(archive, cache_dir=cache_dir, progress=progress)
            images = encoded_files(unpacked, [path for path in walk_files(unpacked) if is_image(path)])
        if images:
            return images
    return []


def _devkit(data_dir: Path, cache_dir: Path, progress: Progress) -> Path | None:
    """The devkit's data folder, unpacked by the user or here."""
    for folder in (data_dir / _DEVKIT / "data", data_dir / "data", data_dir):
        if (folder / GROUND_TRUTH).is_file():
            return folder
    if (archive := data_dir / f"{_DEVKIT}.tar.gz").is_file():
        return unpack(archive, cache_dir=cache_dir, progress=progress) / _DEVKIT / "data"
    return None


def _repeated(images: Sequence[EncodedImage]) -> list[str]:
    counts = Counter(image.name.name for image in images)
    return [name for name, count in counts.items() if count > 1]


def _what_is_missing(labels: Labels, images: Sequence[EncodedImage]) -> str:
    here = {image.name.stem for image in images}
    absent = [stem for stem in labels.index if stem not in here]
    return (
        f"{counted(len(absent), 'labelled image')} of {len(labels.index):,} not there: {some_names(absent)}. "
        f"The whole set is {_IMAGES} of {_PAGE}"
    )


_MANUAL = (
    f"Get {_IMAGES} and {_DEVKIT}.tar.gz (Kaggle's {KAGGLE_LABELS} instead of the devkit does too) from "
    f"{_PAGE} after registering, and give their folder with `data_dir`; a folder of images with a labels.csv "
    "(filename,class_index or path,label) does too."
)
IMAGENET = NamedDataset(
    name="imagenet",
    title="ImageNet ILSVRC2012 validation: 50,000 images, 1000 classes; evaluation only",
    licence="ImageNet terms of access: non-commercial research and education",
    page=_PAGE,
    read=_read,
    groups=Grouping("these images are for evaluation, and nothing is divided", _PAGE),
    manual=_MANUAL,
    evaluation_only=True,
)
