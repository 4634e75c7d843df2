"""deepweeds: 17,509 images of eight Australian weeds and of none (Olsen et al. 2019, doi 10.1038/s41598-018-38343-3).

The authors' labels and five cross-validation folds (train 60 %, val 20 %, test 20 %) are used as they are.
"""

from __future__ import annotations

import re
from pathlib import Path

from foray.data.archive import unpack
from foray.data.class_folders import is_image, walk_files
from foray.data.csv_table import read_table
from foray.data.dataset import SPLITS, Dataset, ImageFile, Sample, counted, some_names
from foray.data.download import RemoteFile
from foray.data.named.descriptor import Grouping, NamedDataset, Request
from foray.errors import DataError
from foray.parsing import shortened

_LABELS = "https://raw.githubusercontent.com/AlexOlsen/DeepWeeds/master/labels/"
_LABEL = re.compile(r"\d{1,3}")
_DRIVE_ID = "1xnK3B6K6KekDI55vwJ0vnc2IGoDga9cj"
_IMAGES = RemoteFile(
    "images.zip",
    (
        f"https://drive.usercontent.google.com/download?id={_DRIVE_ID}&export=download&confirm=t",
        "https://nextcloud.qriscloud.org.au/index.php/s/a3KxPawpqkiorST/download",
    ),
    about_bytes=468_000_000,
)
_LABEL_SHA256 = {
    "labels.csv": "6fb95b89fd9d384f94e185a5cab6c5da7c987649399c90618ecc60acfb0112eb",
    "test_subset0.csv": "fb212793b988bc0455aae2e48cb9eb3168014c2f47fbdb93f5f1e284e0974f75",
    "test_subset1.csv": "1ffc3df9be7e312691a4d3c748deeabd846f339e2a9f2a084f84b16beca2f6e9",
    "test_subset2.csv": "c4d0c72bd3bf6ce3cf4b7528ea125be998e881cd4234dc80532e4217aeccd2c1",
    "test_subset3.csv": "8f4cd1c842b12d4282a865d83a7f960745c1b67d221c32a75ca3d0c99f0af471",
    "test_subset4.csv": "0efa3be49a357d83f60f5c9164350503e92b357a72d0ff461f865e47f6f91171",
    "train_subset0.csv": "a2e63f561a545837c8cabaa276a957ccf1293ec985c9d8fbc49d67b4fd5abdb2",
    "train_subset1.csv": "a7447a6c67852f79837eca790aac55f2e16b96e71d63a1d850ba5a4db57748b8",
    "train_subset2.csv": "7e27d63c1614ebbd6a57b3925403f999f70facbc2ffc04f1116f7f8688ebbd52",
    "train_subset3.csv": "fae89ae8d9b00a919a5b20d7eda4807a3400c040ec89df2ac3304a70c97ad24d",
    "train_subset4.csv": "e0c8011ad795638b85dc59d49d1c9e7af4b3843c780cebb3e3241188cf28380e",
    "val_subset0.csv": "1fa70a03a68def06c921a1dd7f0b53e96490f6dfad51d7d423bb145161ebc478",
    "val_subset1.csv": "0aa1f7d2140e20c14736029a37c3022ca14c37f9e135435d3c5bb790054c2e92",
    "val_subset2.csv": "5a5cc004ef3ec9f021fd46194519ab030b0c65606e3b9cd1f09fc465859289d8",
    "val_subset3.csv": "a50360be0955155e9dfeea9927230ffb8376f3a2b2a2e9f46fb6bf51c84cacd6",
    "val_subset4.csv": "d28432a8a3943a23d1d8539a72a6b78ee67f6ec4179830cec071e03fdb749ce3",
}


def _read(described: NamedDataset, request: Request) -> Dataset:
    """Fold `request.fold` of the authors' five; labels and their order are those of labels.csv.

    One label differs between labels.csv, which has the counts of the paper, and all fold files; a note says so.
    """
    species = {row["filename"]: row for _, row in _rows(_table("labels.csv", described, request))}
    names = {int(row["label"]): row["species"] for row in species.values()}
    images = {path.name: path for path in walk_files(_image_folder(described, request)) if is_image(path)}
    samples: list[Sample] = []
    absent: list[str] = []
    differing: list[str] = []
    for split in SPLITS:
        for _, row in _rows(_table(f"{split}_subset{request.fold}.csv", described, request)):
            name = row["filename"]
            if name not in images:
                absent.append(name)
                continue
            if name not in species:
                raise DataError(f"deepweeds: {shortened(name)} of fold {request.fold} is not in labels.csv.")
            if row["label"] != species[name]["label"]:
                differing.append(name)
            label = int(species[name]["label"])
            samples.append(Sample(name, ImageFile(images[name]), label, split))
    if absent:
        raise DataError(
            f"deepweeds: {counted(len(absent), 'image')} of fold {request.fold} cannot be found: {some_names(absent)}. "
            f"{described.manual}"
        )
    return Dataset(
        name=described.name,
        source=described.page,
        classes=tuple(names[label] for label in sorted(names)),
        samples=tuple(sorted(samples, key=lambda sample: sample.id)),
        split_origin="",
        licence=described.licence,
        fold=request.fold,
        notes=(f"label of labels.csv, not of the fold's file, used for {some_names(differing)}",) if differing else (),
    )


def _table(name: str, described: NamedDataset, request: Request) -> Path:
    """A label file from the user's copy (beside the images, or in labels/), else from cache or the official place."""
    for own in (request.data_dir, request.data_dir and request.data_dir / "labels"):
        if own and (own / name).is_file():
            return own / name
    remote = RemoteFile(name, (_LABELS + name,), f"sha256:{_LABEL_SHA256[name]}")
    try:
        return described.obtain(remote, request.downloading())
    except DataError as error:
        if request.data_dir is None:
            raise
        raise DataError(f"{name} is not in {request.data_dir}. {error}") from error


def _image_folder(described: NamedDataset, request: Request) -> Path:
    if request.data_dir is None or (request.data_dir / _IMAGES.name).is_file():
        return unpack(described.obtain(_IMAGES, request), cache_dir=request.cache_dir, progress=request.progress)
    own = request.data_dir / "images"
    return own if own.is_dir() else request.data_dir


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Rows of a label file: filename, label, and in labels.csv species."""
    header, rows = read_table(table)
    needed = ["filename", "label", "species"] if table.name == "labels.csv" else ["filename", "label"]
    if missing := [column for column in needed if column not in header]:
        raise DataError(f"{table} lacks the column {missing[0]}; it is not a label file of DeepWeeds.")
    for line, row in rows:
        if not _LABEL.fullmatch(row["label"]):
            raise DataError(
                f"{table}, line {line}: the label {shortened(row['label'])!r} is not the number of a class."
            )
    return rows


DEEPWEEDS = NamedDataset(
    name="deepweeds",
    title="DeepWeeds: 17,509 images of 256x256 pixels, 8 weed species and none, 5 folds (468 MB)",
    licence="CC BY 4.0",
    page="https://github.com/AlexOlsen/DeepWeeds",
    read=_read,
    groups=Grouping(  # 20160928-140337-0.jpg: date, time, camera
        "in one second up to four cameras photographed one place",
        "https://github.com/AlexOlsen/DeepWeeds (Data organization)",
        what="images of one moment",
        kinds={"moment": re.compile(r"(?P<group>\d{8}-\d{6})-\d+\.jpg")},
    ),
    manual=(
        "Get images.zip (468 MB) and the labels folder from https://github.com/AlexOlsen/DeepWeeds and give, with "
        "`data_dir`, the folder that holds both (images.zip or images/, and the CSV files or labels/)."
    ),
    files=(_IMAGES,),
    folds=5,
)
