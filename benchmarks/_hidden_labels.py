"""Images of a labelled archive in two folders: `known` with class folders, and `new` whose labels only we know."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from benchmarks._results import shared_data

SUFFIXES = {".jpg", ".jpeg", ".png"}
_ANIMALS = ("bird", "cat", "deer", "dog", "frog", "horse")
_VEHICLES = ("airplane", "automobile", "ship", "truck")
_KINDS = dict.fromkeys(_ANIMALS, "animal") | dict.fromkeys(_VEHICLES, "vehicle")


@dataclass(frozen=True)
class Images:
    """What is taken of an archive under the folder data/ of FORAY_TEST_DATA.

    `train`, `val`, `test`: images with labels. `new`: images that are used without; None: all others. `new_from`: the
    split of the archive that they are from; None: all splits are put together first. `classes`: other names of the
    classes, by name; several may have the same.
    """

    name: str
    archive: str
    train: int
    val: int
    test: int
    new: int | None = None
    new_from: str | None = None
    classes: Mapping[str, str] | None = None


CIFAR10 = Images("CIFAR-10", "cifar10/cifar10-jpeg.tar.xz", 5_000, 300, 500, new=5_000, new_from="test")
KINDS = Images(
    "CIFAR-10, animal or vehicle",
    "cifar10/cifar10-jpeg.tar.xz",
    2_000,
    300,
    500,
    new=5_000,
    new_from="test",
    classes=_KINDS,
)
MANY_KINDS = replace(KINDS, train=8_000)
SEEDLINGS = Images("Plant Seedlings", "plant_seedlings/plant_seedlings.zip", 1_500, 250, 250)
FLOWERS = Images("Flowers", "flowers/flowers.zip", 450, 120, 130)


@dataclass(frozen=True)
class Hidden:
    """`known`: a folder of train/val/test with class folders; `new`: a folder of images; `truth`: their classes by
    id."""

    known: Path
    new: Path
    truth: Mapping[str, str]


def hide(images: Images, folder: Path, seed: int = 0) -> Hidden:
    """Unpacks the images below `folder`, and draws at random which of them have labels.

    The same seed draws the same ones. Raises FileNotFoundError where the archive is not there.
    """
    files = _files(shared_data() / "data" / images.archive)
    renamed = images.classes or {}
    names = np.random.default_rng(seed).permutation(sorted(files)).tolist()
    apart = [name for name in names if PurePosixPath(name).parts[-3] == images.new_from]
    rest = [name for name in names if PurePosixPath(name).parts[-3] != images.new_from]
    counts = (images.train, images.val, images.test)
    known_to = [split for split, n in zip(("train", "val", "test"), counts, strict=True) for _ in range(n)]
    new = (apart or rest[len(known_to) :])[: images.new]
    for name, split in zip(rest, known_to, strict=False):
        label = PurePosixPath(name).parts[-2]
        _write(folder / "known" / split / renamed.get(label, label) / name.replace("/", "-"), files[name])
    truth = {}
    for number, name in enumerate(new):
        label, id_ = PurePosixPath(name).parts[-2], f"{number:05}{PurePosixPath(name).suffix}"
        _write(folder / "new" / id_, files[name])
        truth[id_] = renamed.get(label, label)
    return Hidden(folder / "known", folder / "new", truth)


def are_there(weights: Path) -> bool:
    """Whether images and weights are there; if not, says on stderr what is missing."""
    missing = [str(path) for path in (weights, shared_data() / "data") if not path.exists()]
    if missing:
        print(f"Not found: {', '.join(missing)}. Set FORAY_TEST_DATA to the folder with both.", file=sys.stderr)
    return not missing


def write_labels(path: Path, ids: Sequence[str], truth: Mapping[str, str]) -> Path:
    """labels.csv of these images, as a person who knows every one fills it in."""
    path.write_text("\n".join(["image,label", *(f"{id_},{truth[id_]}" for id_ in ids)]) + "\n", encoding="utf-8")
    return path


def _files(archive: Path) -> dict[str, bytes]:
    """By name the content of every image."""
    return {name: content for name, content in _members(archive) if PurePosixPath(name).suffix.lower() in SUFFIXES}


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            yield from ((name, opened.read(name)) for name in opened.namelist() if not name.endswith("/"))
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                if (stream := tar.extractfile(member)) is not None:
                    yield member.name, stream.read()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
