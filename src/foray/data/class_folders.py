"""A folder of class folders, with or without train, val and test folders above them."""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from foray.data.archive import is_archive
from foray.data.dataset import Dataset, ImageFile, Sample, Split, counted, some_names
from foray.data.images import FOREIGN_SUFFIXES
from foray.data.splits import SPLIT_NAMES
from foray.deploy.predict import IMAGE_SUFFIXES, is_visible
from foray.errors import DataError

TABLE_SUFFIXES = (".csv", ".tsv")
_MAX_DESCENT = 4  # folders that hold nothing but one folder, above the class folders


def read_folder(root: Path, name: str, source: str) -> Dataset:
    """The images below `root`, splits as the folders give them; ids are paths relative to the dataset's own root.

    Class names are the folder names as `class_name` writes them, sorted. Hidden and system files are passed over; files
    without an image suffix and class folders without images are skipped with a note. Raises DataError when there
    are no class folders or no images, class names differ by nothing but case, white space or Unicode form, or a link
    leads nowhere or to images of another class.
    """
    root = _descend(root.absolute())
    split_folders = _split_folders(root)
    class_folders: list[tuple[Split | None, Path]] = []
    for split, folder in split_folders.items():
        class_folders += [(split, path) for path in visible_folders(folder)]
    if not split_folders:
        class_folders = [(None, path) for path in visible_folders(root)]
    samples, others = _class_files(root, class_folders, FolderTree(root, *split_folders.values()))
    if not samples:
        raise DataError(_why_nothing(root, class_folders))
    others += [path for folder in (root, *split_folders.values()) for path in _files_of(folder) if is_image(path)]
    classes = class_list({label for _, label, _ in samples}, where=str(root))
    position = {label: i for i, label in enumerate(classes)}
    prefix = root.as_posix().rstrip("/") + "/"  # cut off each path; Path.relative_to takes seconds on 60,000 files
    used = {label for _, label, _ in samples}
    empty = sorted({class_name(folder.name) for _, folder in class_folders} - used)
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


class FolderTree:
    """The folders of one data set, links followed: each real folder once, and never under two classes.

    A link may lead to images elsewhere. One that leads to a folder above the class folders, or into another class or
    split, would give images a wrong label.
    """

    def __init__(self, *above: Path) -> None:
        """`above`: folders that hold the class folders; those that hold them in turn count as well."""
        self._above = {_identity(path) for folder in above for path in (folder.resolve(), *folder.resolve().parents)}
        self._owner: dict[tuple[int, int], tuple[Path, str]] = {}

    def files(self, root: Path, owner: str = "") -> Iterator[Path]:
        """Every visible file below `root`, in order. `owner`: the split and class that they are of.

        Raises OSError when a folder cannot be listed, DataError for links as described.
        """

        def refuse(error: OSError) -> None:
            raise error

        for name, folders, files in os.walk(root, onerror=refuse, followlinks=True):
            folder = Path(name)
            if not self._is_new(folder, owner):
                folders.clear()
                continue
            folders[:] = sorted(filter(is_visible, folders))
            for file in sorted(filter(is_visible, files)):
                path = folder / file
                if not is_image(path):
                    require_no_broken_link(path)
                yield path

    def _is_new(self, folder: Path, owner: str) -> bool:
        """Whether its files are yet to be listed for `owner`."""
        identity = _identity(folder)
        if identity in self._above:
            raise DataError(
                f"{folder} is a link to {folder.resolve()}, a folder that holds the class folders: its images would "
                "get a wrong label. Remove the link."
            )
        first, of = self._owner.setdefault(identity, (folder, owner))
        if of != owner:
            raise DataError(
                f"{first} and {folder} are the same folder ({folder.resolve()}), so its images would be in two classes "
                "or splits. Remove the link."
            )
        return first == folder


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def walk_files(root: Path) -> Iterator[Path]:
    """Every visible file below `root`, in order. Linked folders are followed, each real folder once.

    Raises OSError when a folder cannot be listed, DataError for a link that leads nowhere.
    """
    return FolderTree().files(root)


def require_no_broken_link(path: Path) -> None:
    """Raises DataError for a link to what is not there: nobody can tell whether it was a folder of images."""
    if path.is_symlink() and not path.exists():
        raise DataError(f"{path} is a link to {path.readlink()}, which does not exist. Repair the link, or remove it.")


def is_image(path: Path) -> bool:
    """Whether the suffix is that of an image format."""
    return path.name.lower().endswith(IMAGE_SUFFIXES)


def class_name(name: str) -> str:
    """A class name on one line, without white space around it or two spaces in it, in Unicode normal form C.

    So the same name written by macOS, by Linux and in a table is the same string, and can stand in every file.
    """
    return " ".join(normal(name).split())


def normal(name: str) -> str:
    """Unicode normal form C: the same name written by macOS and by Linux is the same string."""
    return unicodedata.normalize("NFC", name)


def visible_folders(folder: Path) -> list[Path]:
    """The visible folders directly in `folder`, sorted by name. Raises DataError for a link that leads nowhere."""
    paths = sorted(path for path in folder.iterdir() if is_visible(path.name))
    for path in paths:
        if not is_image(path):
            require_no_broken_link(path)
    return [path for path in paths if path.is_dir()]


def class_list(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Sorted class names. Raises DataError when two differ by case alone, or are one number."""
    alike: dict[str | Decimal, str] = {}
    for name in sorted(set(names)):
        key = Decimal(name) if name.isdecimal() else name.casefold()
        if (other := alike.setdefault(key, name)) != name:
            how = "are the same number" if name.isdecimal() else "differ by upper and lower case only"
            raise DataError(f"{where} has the classes {other!r} and {name!r}, which {how}. Merge them, or rename one.")
    return tuple(sorted(alike.values()))


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
            f"{root} has split folders ({some_names(path.name for path in found.values())}) as well as folders "
            f"with images ({some_names(mixed)}). Move the latter into a split, or elsewhere."
        )
    return found


def _class_files(
    root: Path, class_folders: Sequence[tuple[Split | None, Path]], tree: FolderTree
) -> tuple[list[tuple[Path, str, Split | None]], list[Path]]:
    """(image, class, split) below the class folders, and the files there that are not images by their suffix.

    Images that need a decoder which is not there count as images, so that they are reported as unreadable; but not
    raw files that lie beside the same picture as JPEG.
    """
    images: list[tuple[Path, str, Split | None]] = []
    others: list[Path] = []
    written: dict[tuple[Split | None, str], str] = {}
    for split, folder in class_folders:
        label = class_name(folder.name)
        if (other := written.setdefault((split, label), folder.name)) != folder.name:
            how = "in two Unicode forms" if normal(other) == normal(folder.name) else "with other white space"
            raise DataError(f"{root} has the class {label!r} twice, written {how}. Merge the folders.")
        files = list(tree.files(folder, owner=f"{split or ''}/{label}"))
        readable = {path.with_suffix("") for path in files if is_image(path)}
        for path in files:
            is_foreign = path.suffix.lower() in FOREIGN_SUFFIXES and path.with_suffix("") not in readable
            if is_image(path) or is_foreign:
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
    if files := _files_of(root):
        data = [path.name for path in files if is_archive(path) or path.suffix.lower() in TABLE_SUFFIXES]
        way_out = f"Give {data[0]} itself." if len(data) == 1 else layout
        return f"No images in {root}, which holds {some_names(path.name for path in files)}. {way_out}"
    return f"{root} is empty: no folders, no images. {layout}"


def _notes(root: Path, others: Sequence[Path], empty: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if others:
        named = some_names(path.relative_to(root).as_posix() for path in others)
        notes.append(f"{counted(len(others), 'file')} skipped (no image suffix, or in no class folder): {named}")
    if empty:
        notes.append(f"{counted(len(empty), 'class folder')} without images skipped: {some_names(empty)}")
    return tuple(notes)
