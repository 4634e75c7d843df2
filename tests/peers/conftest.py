"""The peers: timm and torchvision, where they are installed.

torchvision's compiled operators are built for one torch each. Where they do not load (a CPU-only torch), two of them
are declared, never to be called, so that the Python side imports.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from pathlib import Path
from types import ModuleType

import pytest
import torch

_DECLARED: list[torch.library.Library] = []  # a declaration lasts as long as its Library object


def _import_quietly(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    found = importlib.util.find_spec("torchvision")
    if found is None or not found.submodule_search_locations:
        pytest.skip("torchvision is not installed (extra: peers)")
    if not _DECLARED and not _operators_load(Path(found.submodule_search_locations[0])):
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        library.define("qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        _DECLARED.append(library)
    return _import_quietly("torchvision")


@pytest.fixture(scope="session")
def timm(torchvision: ModuleType) -> ModuleType:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed (extra: peers)")
    return _import_quietly("timm")


def _operators_load(folder: Path) -> bool:
    libraries = list(folder.glob("_C*.so"))
    try:
        for library in libraries:
            torch.ops.load_library(library)
    except OSError:
        return False
    return bool(libraries)
