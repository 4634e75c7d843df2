"""rock_paper_scissors: Laurence Moroney's rendered hands, 300x300 pixels, three classes; train and test are given."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from foray.data.archive import archive_stem
from foray.data.class_folders import read_folder
from foray.data.dataset import Dataset, Split
from foray.data.download import RemoteFile
from foray.data.named.descriptor import Grouping, NamedDataset, Request, copy_of_class_folders
from foray.errors import DataError

_BUCKET = "https://storage.googleapis.com/download.tensorflow.org/data/"
_OLD_BUCKET = "https://storage.googleapis.com/laurencemoroney-blog.appspot.com/"
# SHA-256 as published by TensorFlow Datasets (url_checksums/rock_paper_scissors.txt)
_TRAIN = RemoteFile(
    "rps.zip",
    (_BUCKET + "rps.zip", _OLD_BUCKET + "rps.zip"),
    "sha256:c2403444395842ad04c53612bad54b574443eae17a0723117a2ff87b9d72194f",
    about_bytes=200_682_221,
)
_TEST = RemoteFile(
    "rps-test-set.zip",
    (_BUCKET + "rps-test-set.zip", _OLD_BUCKET + "rps-test-set.zip"),
    "sha256:c27ab9fa43ce40b2e453de711365b477f4424586edf0388116674fd320f07503",
    about_bytes=29_516_758,
)
# paper01, testscissors01, rock05ck01, rock07-k03. One number is not one hand in every class: by its skin paper01 is
# rock04 and scissors03, and paper03 and paper05 cannot be told apart. So a group is what a name states, a hand in one
# class. The same skin in another class of train gives no label of val away, but val is not quite as new as test.
_HAND = r"(?P<group>(?:test)?(?:rock|paper|scissors)\d+(?:-?[a-z]+\d+)?)"
_GROUPS = Grouping(
    "frames that follow each other are the same picture but for a few pixels",
    "the names in rps.zip and rps-test-set.zip; Roboflow's names of the copies that it makes",
    what="frames of one hand (copies of one photograph)",
    kinds={
        "train hand": re.compile(_HAND + r"-\d{3}\.\w+"),  # 120 frames each, from 000
        "test hand": re.compile(_HAND + r"-\d{2}\.\w+"),  # 31 frames each; its testscissors01 is not train's
        # rock.0290_png.rf.d8d3947e844decf37e3330e73efd8536_01217.jpg
        "photograph": re.compile(r"(?P<group>.+)_(?:png|jpe?g)\.rf\.[0-9a-f]+.*"),
    },
)


def _read(described: NamedDataset, request: Request) -> Dataset:
    own = request.data_dir
    if own is not None and not any(
        (own / file.name).is_file() or _unpacked(own, file).is_dir() for file in (_TRAIN, _TEST)
    ):
        folder = copy_of_class_folders(own, request)
        return replace(read_folder(folder, described.name, str(own)), licence=described.licence)
    train, test = (
        read_folder(_half(described, request, file), described.name, described.page) for file in (_TRAIN, _TEST)
    )
    if train.classes != test.classes:
        raise DataError(f"{described.name}: train has {train.classes}, test {test.classes}. {described.manual}")
    halves: tuple[tuple[Split, Dataset], ...] = (("train", train), ("test", test))
    return replace(
        train,
        samples=tuple(
            replace(sample, id=f"{split}/{sample.id}", split=split) for split, half in halves for sample in half.samples
        ),
        notes=train.notes + test.notes,
        licence=described.licence,
    )


def _half(described: NamedDataset, request: Request, file: RemoteFile) -> Path:
    own = request.data_dir and _unpacked(request.data_dir, file)
    return own if own and own.is_dir() else described.unpacked(file, request)


def _unpacked(data_dir: Path, file: RemoteFile) -> Path:
    """Where a person who unpacked the official archive has its images: rps.zip holds a folder rps."""
    return data_dir / archive_stem(Path(file.name))


ROCK_PAPER_SCISSORS = NamedDataset(
    name="rock_paper_scissors",
    title="Rock, paper, scissors: 2,892 rendered hands of 300x300 pixels, 3 classes",
    licence="CC BY 2.0",
    page="https://laurencemoroney.com/datasets.html",
    read=_read,
    groups=_GROUPS,
    manual=(
        f"Get rps.zip and rps-test-set.zip from {_BUCKET} and give their folder with `data_dir` (a folder or "
        "archive of class folders does too)."
    ),
    files=(_TRAIN, _TEST),
)
