"""Cached views: those that training by batches would show, kept one by one, on one side of every fold."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from foray.augmentation import Augment
from foray.data import decode_for_training
from foray.linear import extract_features, features
from foray.linear.features import AugmentedImages, cached_views
from foray.progress import SILENT
from foray.recipes import Augmentation
from foray.requests import Machine
from foray.specs import Preprocessing
from tests.small_training import MODEL, lively

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing(resolution=32, crop_pct=0.875)
FLIPS = Augmentation(horizontal_flip=0.5, random_crop_scale=(0.5, 1.0))
POSITIONS = np.array([3, 4, 8, 10, 11, 15, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52, 58])


@pytest.fixture
def store(squares):
    return decode_for_training(squares, PREPROCESSING)


@pytest.fixture
def torch_engine(monkeypatch) -> None:
    monkeypatch.setattr(features, "openvino_fits", lambda device: False)  # it takes seconds to compile each network


def test_a_view_is_what_training_by_batches_shows_in_that_epoch(store) -> None:
    augment = Augment(FLIPS, PREPROCESSING, seed=3)
    network = lively().eval()
    images = AugmentedImages(store, POSITIONS, augment, view=2)
    found, _ = extract_features(network, images, PREPROCESSING, device=CPU, engine="torch")
    expected = []
    for step, chosen in enumerate((POSITIONS[:16], POSITIONS[16:])):
        pixels = torch.from_numpy(store.pixels[chosen]).permute(0, 3, 1, 2)
        with torch.inference_mode():
            expected.append(network.forward_features(augment(pixels, 2, step)).numpy())
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=0, atol=1e-5 * np.abs(found).max())


@pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="openvino is not installed")
def test_openvino_computes_views_in_float32(store) -> None:
    network, images = lively(MODEL), AugmentedImages(store, POSITIONS, Augment(FLIPS, PREPROCESSING, seed=0), view=1)
    ours, engine = extract_features(network, images, PREPROCESSING, device=CPU)
    peer, _ = extract_features(network, images, PREPROCESSING, device=CPU, engine="torch")
    assert engine == "openvino"
    np.testing.assert_allclose(ours, peer, rtol=0, atol=1e-3 * np.abs(peer).max())


def test_views_differ_are_kept_and_depend_on_all_that_makes_them(store, tmp_path, torch_engine) -> None:
    network = lively()
    machine = Machine("cpu", cache_dir=tmp_path)

    def kept() -> int:
        return len(list((tmp_path / "features").rglob("*.npy")))

    def views(count: int, positions=POSITIONS, seed: int = 0, augmentation: Augmentation = FLIPS):
        augment = Augment(augmentation, PREPROCESSING, seed=seed)
        images = [AugmentedImages(store, positions, augment, view) for view in range(1, count + 1)]
        return cached_views(network, "aa", images, machine, SILENT)

    three, engines = views(3)
    assert (three.shape, engines) == ((3, len(POSITIONS), network.num_features), {"torch"})
    assert all(not np.allclose(three[i], three[j]) for i, j in [(0, 1), (0, 2), (1, 2)])
    assert kept() == 3
    two, _ = views(2)
    assert np.array_equal(two, three[:2])
    assert kept() == 3  # found again
    for changes in ({"positions": POSITIONS[1:]}, {"seed": 1}, {"augmentation": Augmentation(vertical_flip=0.5)}):
        before = kept()
        views(1, **changes)
        assert kept() == before + 1
