"""plant_seedlings: Aarhus University's Plant Seedlings (Giselsson et al. 2017, arXiv:1711.05458), 12 species."""

from __future__ import annotations

from dataclasses import replace

from foray.data.class_folders import read_folder
from foray.data.dataset import Dataset
from foray.data.download import RemoteFile
from foray.data.named.descriptor import Grouping, NamedDataset, Request, copy_of_class_folders

_PAGE = "https://vision.eng.au.dk/plant-seedlings-dataset/"
_ARCHIVE = RemoteFile(
    "NonsegmentedV2.zip",
    ("https://vision.eng.au.dk/?download=/data/WeedData/NonsegmentedV2.zip",),
    about_bytes=1_700_000_000,
)


def _read(described: NamedDataset, request: Request) -> Dataset:
    if request.data_dir is not None:
        folder, source = copy_of_class_folders(request.data_dir, request), str(request.data_dir)
    else:
        folder, source = described.unpacked(_ARCHIVE, request), _PAGE
    return replace(read_folder(folder, described.name, source), licence=described.licence)


PLANT_SEEDLINGS = NamedDataset(
    name="plant_seedlings",
    title="Plant Seedlings V2: 5,539 images of 12 weed and crop species (1.7 GB)",
    licence="CC BY-SA 4.0",
    page=_PAGE,
    read=_read,
    groups=Grouping(
        "each plant was photographed many times as it grew, and file names do not tell the plant",
        "Giselsson et al. 2017, arXiv:1711.05458",
    ),
    manual=(
        f"Get NonsegmentedV2.zip (1.7 GB) from {_PAGE} or, after logging in, the train folder of "
        "https://www.kaggle.com/c/plant-seedlings-classification, and give the folder or archive with `data_dir`."
    ),
    files=(_ARCHIVE,),
)
