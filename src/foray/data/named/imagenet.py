"""imagenet: the ILSVRC2012 validation images (Russakovsky et al. 2015, arXiv:1409.0575), from a copy the user has.

All images are the test split: networks are evaluated on them, not trained. Classes are the 1000 in the order of all
common pretrained weights (sorted by WordNet id), also where a subset holds images of a few of them only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foray.data.archive import is_archive, unpack
from foray.data.csv_table import read_table
from foray.data.dataset import Dataset, ImageFile, Sample, counted, some_names
from foray.data.folder import is_image, walk_files
from foray.data.named.descriptor import NamedDataset, Request
from foray.errors import DataError

_CLASSES = 1000
_PAGE = "https://image-net.org/challenges/LSVRC/2012/"
_DEVKIT = "ILSVRC2012_devkit_t12"
_GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_KAGGLE_LABELS = "LOC_val_solution.csv"


@dataclass(frozen=True)
class _Labels:
    """`index`: class index of a file by its stem; `names`: what is known of the 1000 class names."""

    index: Mapping[str, int]
    names: Mapping[int, str]


def _read(described: NamedDataset, request: Request) -> Dataset:
    if request.data_dir is None or not request.data_dir.is_dir():
        raise DataError(f"imagenet cannot be downloaded without an account. {described.manual}")
    images = _images(request.data_dir, request)
    if not images:
        raise DataError(f"{request.data_dir} holds no validation images. {described.manual}")
    labels = _labels(request.data_dir, images, request)
    if labels is None:
        raise DataError(f"{request.data_dir} holds images but no labels. {described.manual}")
    if unlabelled := [path.name for path in images if path.stem not in labels.index]:
        raise DataError(f"{counted(len(unlabelled), 'image')} without a label: {some_names(unlabelled)}.")
    return Dataset(
        name=described.name,
        source=described.page,
        classes=tuple(labels.names.get(i, f"class {i:03d}") for i in range(_CLASSES)),
        samples=tuple(
            Sample(path.name, ImageFile(path), labels.index[path.stem], "test")
            for path in sorted(images, key=lambda path: path.name)
        ),
        split_origin="given: all validation images are test",
        licence=described.licence,
    )


def _images(data_dir: Path, request: Request) -> list[Path]:
    """Images in val/, else in the folder, else in its only archive that is not the devkit."""
    folder = data_dir / "val" if (data_dir / "val").is_dir() else data_dir
    if images := [path for path in walk_files(folder) if is_image(path)]:
        return images
    for archive in sorted(path for path in data_dir.iterdir() if is_archive(path) and _DEVKIT not in path.name):
        unpacked = unpack(archive, cache_dir=request.cache_dir, progress=request.progress)
        if images := [path for path in walk_files(unpacked) if is_image(path)]:
            return images
    return []


def _labels(data_dir: Path, images: list[Path], request: Request) -> _Labels | None:
    """From labels.csv, Kaggle's LOC_val_solution.csv, the devkit, or class folders named by WordNet id."""
    if (table := data_dir / "labels.csv").is_file():
        return _from_table(table)
    ids = _wordnet_ids(data_dir, request)
    if ids is None:
        folders = sorted({path.parent.name for path in images})
        if len(folders) != _CLASSES:
            return None
        ids = {name: (i, name) for i, name in enumerate(folders)}
    names = {i: f"{wordnet_id} {name}" if name != wordnet_id else name for wordnet_id, (i, name) in ids.items()}
    if (table := data_dir / _KAGGLE_LABELS).is_file():
        _, rows = read_table(table)
        return _Labels({row["imageid"]: ids[row["predictionstring"].split()[0]][0] for _, row in rows}, names)
    if all(path.parent.name in ids for path in images):
        return _Labels({path.stem: ids[path.parent.name][0] for path in images}, names)
    return _Labels(_ground_truth(_devkit(data_dir, request)), names)


def _from_table(table: Path) -> _Labels:
    """A CSV with filename (or path) and class_index, and names from wordnet_id and class_name where it has them."""
    header, rows = read_table(table)
    file = "filename" if "filename" in header else "path"
    if file not in header or "class_index" not in header:
        raise DataError(f"{table} should have the columns filename,class_index (0..999, sorted by WordNet id).")
    names: dict[int, str] = {}
    for line, row in rows:
        if not row["class_index"].isdecimal() or int(row["class_index"]) >= _CLASSES:
            raise DataError(f"{table}, line {line}: class_index {row['class_index']!r} is not one of 0..999.")
        if name := " ".join(filter(None, (row.get("wordnet_id"), row.get("class_name")))):
            names[int(row["class_index"])] = name
    return _Labels({Path(row[file]).stem: int(row["class_index"]) for _, row in rows}, names)


def _devkit(data_dir: Path, request: Request) -> Path | None:
    """The devkit's data folder, unpacked by the user or here."""
    for folder in (data_dir / _DEVKIT / "data", data_dir / "data", data_dir):
        if (folder / _GROUND_TRUTH).is_file():
            return folder
    if (archive := data_dir / f"{_DEVKIT}.tar.gz").is_file():
        return unpack(archive, cache_dir=request.cache_dir, progress=request.progress) / _DEVKIT / "data"
    return None


def _synsets(devkit: Path) -> list[tuple[int, str, str]]:
    """(ILSVRC2012_ID, WordNet id, first name) of the 1000 leaf classes, from the devkit's meta.mat."""
    from scipy.io import loadmat

    try:
        table = loadmat(devkit / "meta.mat", squeeze_me=True)["synsets"]
        leaves = table[table["num_children"] == 0]
        return [(int(row["ILSVRC2012_ID"]), str(row["WNID"]), str(row["words"]).split(",")[0]) for row in leaves]
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise DataError(f"Cannot read the class list {devkit / 'meta.mat'}: {error}.") from error


def _wordnet_ids(data_dir: Path, request: Request) -> dict[str, tuple[int, str]] | None:
    """Class index and name by WordNet id, from the devkit; None where there is none."""
    devkit = _devkit(data_dir, request)
    if devkit is None:
        return None
    ordered = sorted(_synsets(devkit), key=lambda synset: synset[1])
    return {wordnet_id: (i, name) for i, (_, wordnet_id, name) in enumerate(ordered)}


def _ground_truth(devkit: Path | None) -> dict[str, int]:
    """Class index by file stem: line n of the ground truth is the ILSVRC2012_ID of validation image n."""
    if devkit is None:
        return {}
    synsets = _synsets(devkit)
    order = {wordnet_id: i for i, wordnet_id in enumerate(sorted(wordnet_id for _, wordnet_id, _ in synsets))}
    index = {number: order[wordnet_id] for number, wordnet_id, _ in synsets}
    lines = (devkit / _GROUND_TRUTH).read_text(encoding="ascii").split()
    return {f"ILSVRC2012_val_{n:08d}": index[int(number)] for n, number in enumerate(lines, start=1)}


IMAGENET = NamedDataset(
    name="imagenet",
    title="ImageNet ILSVRC2012 validation: 50,000 images, 1000 classes; evaluation only",
    licence="ImageNet terms of access: non-commercial research and education",
    page=_PAGE,
    read=_read,
    manual=(
        f"Get ILSVRC2012_img_val.tar and {_DEVKIT}.tar.gz (Kaggle's {_KAGGLE_LABELS} beside the devkit does too) from "
        f"{_PAGE} after registering, and give their folder with --data-dir; a folder of images with a labels.csv "
        "(filename,class_index) does too."
    ),
    evaluation_only=True,
)
