"""Fixtures every test may use."""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

_DECLARED: list[torch.library.Library] = []  # a declaration lasts as long as its Library object


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real images and real ImageNet weights (`FORAY_TEST_DATA`, default ../shared), or a skip."""
    folder = Path(os.environ.get("FORAY_TEST_DATA", ROOT.parent / "shared"))
    if not (folder / "weights").is_dir() or not (folder / "data").is_dir():
        pytest.skip(f"real images and weights are not at {folder} (set FORAY_TEST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests write their caches into one temporary folder, never into the user's."""
    monkeypatch.setenv("FORAY_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def _import_quietly(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """The peer, or a skip. Its compiled operators are built for one torch each: where they do not load (a CPU-only
    torch), two of them are declared, never to be called, so that the Python side imports.
    """
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
    """The peer, or a skip."""
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
