"""Frozen features: the same in every engine, computed once."""

from __future__ import annotations

import importlib.util
import zipfile

import numpy as np
import pytest
import torch

from foray.data import ImageStore, decode_for_evaluation, load_image, normalize, prepare
from foray.evaluation import inference_engine
from foray.linear import extract_features, features
from foray.linear.features import DecodedImages, cached_features
from foray.specs import Preprocessing
from foray.weights import create_model, find_weights
from tests.damage import flip_a_bit
from tests.small_training import MODEL, lively

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing(resolution=32, crop_pct=1.0)
needs_openvino = pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="openvino is not installed")


class Notes:
    """Progress that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.task = features.SILENT.task

    def note(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def store(squares):
    return decode_for_evaluation(squares, PREPROCESSING)


def test_features_are_the_networks_in_the_order_of_the_store(store) -> None:
    network = lively().train()  # extraction itself has to use the running statistics
    found, engine = extract_features(network, DecodedImages(store), PREPROCESSING, device=CPU, engine="torch")
    assert engine == "torch"
    assert found.shape == (len(store), network.num_features)
    network.eval()
    with torch.inference_mode():
        images = torch.from_numpy(np.array(store.pixels)).permute(0, 3, 1, 2)
        expected = network.forward_features(normalize(images, PREPROCESSING)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@needs_openvino
@pytest.mark.parametrize("name", [MODEL, "tf_mobilenet_v2_x0.25"])
def test_openvino_computes_them_in_float32(store, name: str) -> None:
    network = lively(name)
    ours, engine = extract_features(network, DecodedImages(store), PREPROCESSING, device=CPU, engine="openvino")
    peer, _ = extract_features(network, DecodedImages(store), PREPROCESSING, device=CPU, engine="torch")
    assert engine == "openvino"
    # bfloat16 would be 1e-2 off; float32 summed in another order is 1e-4 off where batch norm divides by little
    np.testing.assert_allclose(ours, peer, rtol=0, atol=1e-3 * np.abs(peer).max())


@needs_openvino
def test_an_engine_that_differs_is_not_believed(store, monkeypatch) -> None:
    notes, network = Notes(), lively()
    other = lively(seed=1)
    convert = inference_engine.convert
    wrong = features._Backbone(other, PREPROCESSING).eval()
    monkeypatch.setattr(inference_engine, "convert", lambda ov, _, at: convert(ov, wrong, at))
    found, engine = extract_features(network, DecodedImages(store), PREPROCESSING, device=CPU, progress=notes)
    expected, _ = extract_features(network, DecodedImages(store), PREPROCESSING, device=CPU, engine="torch")
    assert engine == "torch"
    assert np.array_equal(found, expected)
    assert "differ" in notes.said[0]


def test_kept_features_are_found_again_and_belong_to_their_weights_and_images(
    store, squares, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(features, "openvino_fits", lambda device: False)  # it takes seconds to compile each network
    arguments = {"device": CPU, "cache_dir": tmp_path}
    first, engine = cached_features(lively(), "aa", DecodedImages(store), PREPROCESSING, **arguments)
    # of another network, said to be of the same weights: shows where they come from
    again, engine_again = cached_features(lively(seed=1), "aa", DecodedImages(store), PREPROCESSING, **arguments)
    assert engine_again == engine
    assert np.array_equal(again, first)
    other_weights, _ = cached_features(lively(seed=1), "bb", DecodedImages(store), PREPROCESSING, **arguments)
    assert not np.allclose(other_weights, first)
    other_mean = Preprocessing(resolution=32, crop_pct=1.0, mean=(0.1, 0.1, 0.1))
    cached_features(lively(), "aa", DecodedImages(store), other_mean, **arguments)
    fewer = DecodedImages(decode_for_evaluation(squares.without(["red/000"]), PREPROCESSING))
    cached_features(lively(), "aa", fewer, PREPROCESSING, **arguments)
    assert len(list((tmp_path / "features").rglob("*.npy"))) == 4


@pytest.mark.parametrize("damage", ["flipped bit", "cut short", "other features", "no array", "no digest", "digest"])
def test_damaged_features_are_computed_again_with_a_note(store, tmp_path, monkeypatch, damage: str) -> None:
    monkeypatch.setattr(features, "openvino_fits", lambda device: False)
    arguments = {"device": CPU, "cache_dir": tmp_path}
    first, _ = cached_features(lively(), "aa", DecodedImages(store), PREPROCESSING, **arguments)
    (kept,) = (tmp_path / "features").rglob("*.npy")
    match damage:
        case "flipped bit":
            flip_a_bit(kept, -400)
        case "cut short":
            kept.write_bytes(kept.read_bytes()[:-400])
        case "other features":
            np.save(kept, first + 1)
        case "no array":
            kept.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'shape': (9" + b"9" * 30 + b",)}")
        case "no digest":  # as an earlier version of foray left it
            kept.with_suffix(".json").unlink()
        case "digest":
            flip_a_bit(kept.with_suffix(".json"), 100)
    notes = Notes()
    again, _ = cached_features(lively(), "aa", DecodedImages(store), PREPROCESSING, progress=notes, **arguments)
    assert np.array_equal(again, first)
    assert any("features are computed again" in said for said in notes.said)
    notes.said.clear()
    cached_features(lively(), "aa", DecodedImages(store), PREPROCESSING, progress=notes, **arguments)
    assert notes.said == []


@needs_openvino
def test_on_real_weights_the_engines_agree(shared_data, tmp_path) -> None:
    weights = find_weights(shared_data / "weights/mobilenetv1_025.tf_qat_in1k", "mobilenet_v1_x0.25")
    network = create_model("mobilenet_v1_x0.25", weights=weights.path.parent)
    with zipfile.ZipFile(shared_data / "data/imagenet_val_500/imagenet_val_500.zip") as images:
        names = sorted(name for name in images.namelist() if name.lower().endswith((".jpg", ".jpeg", ".png")))[:12]
        pixels = np.stack([prepare(load_image(images.read(name)), weights.preprocessing) for name in names])
    store = ImageStore(pixels, np.zeros(len(pixels), np.int64), tmp_path)
    ours, engine = extract_features(network, DecodedImages(store), weights.preprocessing, device=CPU)
    peer, _ = extract_features(network, DecodedImages(store), weights.preprocessing, device=CPU, engine="torch")
    assert engine == "openvino"
    np.testing.assert_allclose(ours, peer, rtol=0, atol=1e-4 * np.abs(peer).max())
