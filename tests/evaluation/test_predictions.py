"""Predictions of a split are those of the network in inference mode, which is left as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from foray.data import Dataset, decode_for_evaluation
from foray.data.network_input import normalize
from foray.specs import Preprocessing
from foray.training.whole_network import predict_split
from tests.small_training import lively


def test_predictions_are_those_of_the_network(squares: Dataset, tmp_path: Path) -> None:
    preprocessing = Preprocessing(resolution=24, crop_pct=1.0)
    store = decode_for_evaluation(squares, preprocessing, cache_dir=tmp_path)
    network = lively("mobilenet_v3_small").train()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    found = predict_split(
        network, split="val", dataset=squares, store=store, preprocessing=preprocessing, device=torch.device("cpu")
    )
    assert not network.training
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())

    positions = squares.indices("val")
    images = normalize(torch.from_numpy(store.pixels[positions]).permute(0, 3, 1, 2), preprocessing)
    with torch.inference_mode():
        expected = network(images).softmax(dim=1).numpy()
    assert found.image_ids.tolist() == [squares.samples[i].id for i in positions]
    assert np.ptp(expected, axis=0).max() > 1e-3  # images are told apart
    np.testing.assert_allclose(found.probabilities, expected, rtol=0, atol=1e-5)
