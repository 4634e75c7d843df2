"""A folder of class folders, with or without train, val and test folders above them."""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from foray.data.dataset import Dataset, ImageFile, Sample, Split, counted, some_names
from foray.data.splits import SPLIT_NAMES
from foray.errors import DataError

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".avif",
)  # fmt: skip
_SYSTEM_NAMES = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
_MAX_DESCENT = 4  # folders that hold nothing but one folder, above the class folders


def read_folder(root: Path, name: str, source: str) -> Dataset:
    """The images below `root`, splits as the folders give them; ids are paths relative to the dataset's own root.

    Class names are the folder names in Unicode normal form C, sorted. Hidden and system files are passed over; files
    without an image suffix and class folders without images are passed over with a note. Raises DataError when there
    are no class folders or no images, or class names differ by nothing but case or Unicode form.
    """
    root = _descend(root.absolute())
    split_folders = _split_folders(root)
    class_folders: list[tuple[Split | None, Path]] = []
    for split, folder in split_folders.items():
        class_folders += [(split, path) for path in visible_folders(folder)]
    if not split_folders:
        class_folders = [(None, path) for path in visible_folders(root)]
    samples, others = _class_files(root, class_folders)
    if not samples:
        raise DataError(_why_nothing(root, class_folders))
    others += [path for folder in (root, *split_folders.values()) for path in _files_of(folder) if is_image(path)]
    classes = class_list({label for _, label, _ in samples}, where=str(root))
    position = {label: i for i, label in enumerate(classes)}
    prefix = root.as_posix().rstrip("/") + "/"  # cut off each path; Path.relative_to takes seconds on 60,000 files
    used = {label for _, label, _ in samples}
    empty = sorted({normal(folder.name) for _, folder in class_folders} - used)
    return Dataset(
        name=name,
        source=source,
        classes=classes,
        samples=unique_samples(
            Sample(id=normal(path.as_posix()[len(prefix) :]), image=ImageFile(path), label=position[label], split=split)
            for path, label, split in samples
        ),
        split_origin="",
        notes=_notes(root, others, empty),
    )


def walk_files(root: Path) -> Iterator[Path]:
    """Every visible file below `root`, in order. Linked folders are followed, each real folder once.

    Raises OSError when a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise error

    visited: set[tuple[int, int]] = set()
    for name, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        folder = Path(name)
        status = folder.stat()
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(filter(is_visible, folders))
        yield from (folder / file for file in sorted(filter(is_visible, files)))


def is_visible(name: str) -> bool:
    """Whether a name is neither hidden nor put there by an operating system."""
    return not name.startswith(".") and name not in _SYSTEM_NAMES


def is_image(path: Path) -> bool:
    """Whether the suffix is that of an image format."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def normal(name: str) -> str:
    """Unicode normal form C: the same name written by macOS and by Linux is the same string."""
    return unicodedata.normalize("NFC", name)


def visible_folders(folder: Path) -> list[Path]:
    """The visible folders directly in `folder`, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and is_visible(path.name))


def class_list(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Sorted class names. Raises DataError when two differ by case alone."""
    folded: dict[str, str] = {}
    for name in sorted(set(names)):
        if (other := folded.setdefault(name.casefold(), name)) != name:
            raise DataError(
                f"{where} has the classes {other!r} and {name!r}, which differ by upper and lower case only. "
                "Merge them, or rename one."
            )
    return tuple(sorted(folded.values()))


def unique_samples(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Samples sorted by id. Raises DataError when two ids are the same Unicode text, or one is not Unicode."""
    ordered = sorted(samples, key=lambda sample: sample.id)
    if foreign := [sample.id for sample in ordered if not _is_unicode(sample.id)]:
        raise DataError(f"The name {foreign[0]!r} is not UTF-8. Rename it (convmv does it for many files).")
    for one, other in itertools.pairwise(ordered):
        if one.id == other.id:
            raise DataError(f"{one.id!r} is there twice, written in two Unicode forms. Rename or remove one of them.")
    return tuple(ordered)


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8 come from the file system as lone surrogates
        return False
    return True


def _descend(root: Path) -> Path:
    """`root`, or the folder below it that holds the classes when those above hold nothing but one folder."""
    for _ in range(_MAX_DESCENT):
        folders = visible_folders(root)
        if (
            len(folders) != 1
            or _split_folders(root)
            or not visible_folders(folders[0])
            or any(map(is_image, _files_of(folders[0])))
        ):
            break
        root = folders[0]
    return root


def _split_folders(root: Path) -> Mapping[Split, Path]:
    """Folders named as a split that hold folders with images (`train` may also be a class of vehicles)."""
    found: dict[Split, Path] = {}
    others = []
    for path in visible_folders(root):
        split = SPLIT_NAMES.get(path.name.lower())
        if split is None or not any(_holds_images(folder) for folder in visible_folders(path)):
            others.append(path)
        elif split in found:
            raise DataError(f"{root} has two folders for {split}: {found[split].name} and {path.name}. Keep one.")
        else:
            found[split] = path
    if found and (mixed := [path.name for path in others if any(map(is_image, walk_files(path)))]):
        raise DataError(
            f"{root} has split folders ({some_names(path.name for path in found.values())}) beside folders with images "
            f"({some_names(mixed)}). Move the latter into a split, or out of the way."
        )
    return found


def _class_files(
    root: Path, class_folders: Sequence[tuple[Split | None, Path]]
) -> tuple[list[tuple[Path, str, Split | None]], list[Path]]:
    """(image, class, split) below the class folders, and the files there that are not images by their suffix."""
    images: list[tuple[Path, str, Split | None]] = []
    others: list[Path] = []
    written: dict[tuple[Split | None, str], str] = {}
    for split, folder in class_folders:
        label = normal(folder.name)
        if written.setdefault((split, label), folder.name) != folder.name:
            raise DataError(f"{root} has the class {label!r} twice, written in two Unicode forms. Merge the folders.")
        for path in walk_files(folder):
            if is_image(path):
                images.append((path, label, split))
            else:
                others.append(path)
    return images, others


def _holds_images(folder: Path) -> bool:
    return any(map(is_image, walk_files(folder)))


def _files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and is_visible(path.name))


def _why_nothing(root: Path, class_folders: Sequence[tuple[Split | None, Path]]) -> str:
    layout = "Give a folder with one folder of images for each class, or a CSV with the columns path,label."
    if direct := [path for path in _files_of(root) if is_image(path)]:
        return f"{root} holds {counted(len(direct), 'image')} but no class folders. {layout}"
    if class_folders:
        named = some_names(folder.name for _, folder in class_folders)
        return f"No images in {root}: its folders ({named}) hold no file with an image suffix. {layout}"
    return f"{root} is empty: no folders, no images. {layout}"


def _notes(root: Path, others: Sequence[Path], empty: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if others:
        named = some_names(path.relative_to(root).as_posix() for path in others)
        notes.append(f"{counted(len(others), 'file')} passed over (not an image by suffix, or in no class): {named}")
    if empty:
        notes.append(f"{counted(len(empty), 'class folder')} without images passed over: {some_names(empty)}")
    return tuple(notes)
