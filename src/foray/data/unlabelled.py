"""Images without labels: a folder of image files, folders in it, or an archive of one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from foray.data.archive import archive_stem, is_archive, unpack
from foray.data.class_folders import is_image, normal, unique_samples, walk_files
from foray.data.content import with_content
from foray.data.dataset import Dataset, ImageFile, Sample, counted, some_names
from foray.data.images import FOREIGN_SUFFIXES
from foray.errors import DataError
from foray.parsing import home_expanded
from foray.progress import SILENT, Progress
from foray.regular_files import is_there

UNKNOWN = -1  # the label of an image that has none


def open_unlabelled(
    images: str | Path, classes: tuple[str, ...], *, cache_dir: Path, progress: Progress = SILENT
) -> Dataset:
    """The images below a folder or in an archive, all of the split test, with content hashes; ids are paths in it.

    Folders in it are no labels. Hidden files, files of operating systems and files without an image suffix are passed
    over.

    Args:
        images: a folder, or a .zip or .tar(.gz|.xz) of one.
        classes: names of those that the images may be of.
        cache_dir: where archives are unpacked and digests kept.
        progress: what is told of the progress.

    Raises:
        DataError: where there is no such folder or no image in it, and for an archive that cannot be unpacked.
    """
    path = home_expanded(images)
    if not is_there(path):
        raise DataError(f"{path} does not exist. Name a folder of images, or a .zip or .tar of one.")
    if path.is_dir():
        root, name = path, path.resolve().name
    elif is_archive(path):
        root, name = unpack(path, cache_dir=cache_dir, progress=progress), archive_stem(path)
    else:
        raise DataError(f"{path} is not a folder, nor a .zip, .tar, .tar.gz or .tar.xz archive of images.")
    try:
        files = list(walk_files(root.absolute()))
    except OSError as error:
        raise DataError(f"Cannot read {error.filename or path}: {error.strerror or error}.") from error
    pictures, others = _pictures(files)
    if not pictures:
        raise DataError(f"{path} holds no image: there is no file with the suffix of one.")
    prefix = root.absolute().as_posix().rstrip("/") + "/"
    samples = unique_samples(
        Sample(normal(file.as_posix().removeprefix(prefix)), ImageFile(file), UNKNOWN, "test") for file in pictures
    )
    notes = [f"{counted(len(others), 'file')} skipped (no image suffix): {some_names(f.name for f in others)}"]
    found = Dataset(name, str(images), classes, samples, "", notes=tuple(notes if others else ()))
    return with_content(found, cache_dir=cache_dir, progress=progress).fingerprinted()


def folders_of_classes(dataset: Dataset) -> list[str]:
    """Classes after which folders with images are named, where it looks as if the folders were labels."""
    folders = Counter(part for sample in dataset.samples for part in sample.id.split("/")[:-1])
    named = [name for name in dataset.classes if folders[name]]
    inside = sum(any(part in named for part in sample.id.split("/")[:-1]) for sample in dataset.samples)
    return named if len(named) > 1 and inside > len(dataset.samples) / 2 else []


def _pictures(files: list[Path]) -> tuple[list[Path], list[Path]]:
    """The images, those that need a decoder which is not there included, unless the same picture lies beside them."""
    readable = {file.with_suffix("") for file in files if is_image(file)}
    pictures: list[Path] = []
    others: list[Path] = []
    for file in files:
        is_foreign = file.suffix.lower() in FOREIGN_SUFFIXES and file.with_suffix("") not in readable
        (pictures if is_image(file) or is_foreign else others).append(file)
    return pictures, others
