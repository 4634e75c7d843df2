"""config.json and .h5 files of weights that state what cannot be: one message, and no memory beyond the file's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from foray.errors import WeightsError
from foray.limits import LEAST_CROP_PCT, MOST_RESIZE_SIDE, MOST_RESOLUTION
from foray.models import build_model
from foray.specs import Preprocessing, get_spec
from foray.training.freezing import unfreeze_part
from foray.weights.keras_file import read_keras
from foray.weights.timm_layout import read_config
from tests.made_keras import write_keras

SPEC = get_spec("tf_mobilenet_v1_x0.25")
CONFIG = {"architecture": "mobilenetv1_025", "num_classes": 7, "pretrained_cfg": {"input_size": [3, 224, 224]}}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("crop_pct", "1e-7", r"at least 0\.03125, not 1e-07: images would be resized to 1e\+07 times"),
        ("crop_pct", "1e-320", "at least 0.03125, not 9"),
        ("crop_pct", "1e400", r"crop_pct must be in \(0, 1\], not inf"),
        ("crop_pct", "NaN", "crop_pct must be in"),
        ("input_size", "[3, 1e400, 1e400]", "infinity"),
        ("input_size", "[3, 100000, 100000]", "the input has 100000 pixels per side; foray supports at most 4096"),
        ("input_size", f"[3, {'9' * 5000}, {'9' * 5000}]", "cannot be read as JSON"),
        ("std", "[1e400, 1, 1]", "std must be positive and finite"),
        ("mean", "[1e400, 1, 1]", "mean must be finite"),
        ("mean", "[" * 100_000, "nested too deeply"),
        ("interpolation", f'"{"x" * 100_000}"', r"interpolation 'x{80}\.\.\. \(100,000 characters\)'"),
    ],
)  # fmt: skip
def test_a_config_that_states_what_cannot_be_is_refused(tmp_path: Path, key: str, value: str, said: str) -> None:
    config = json.loads(json.dumps(CONFIG))
    config["pretrained_cfg"][key] = "HERE"
    (tmp_path / "config.json").write_text(json.dumps(config).replace('"HERE"', value))
    with pytest.raises(WeightsError, match=said):
        read_config(tmp_path)


def test_images_are_resized_to_a_side_that_memory_holds() -> None:
    assert Preprocessing(MOST_RESOLUTION, LEAST_CROP_PCT).resize_side == MOST_RESIZE_SIDE
    with pytest.raises(ValueError, match=r"at least 0\.03125"):
        Preprocessing(1024, 0.03124)


def test_a_count_of_thousands_of_digits_unfreezes_nothing() -> None:
    with pytest.raises(Exception, match=r"has no part 'last:9{75}\.\.\. \(5,005 characters\)'"):
        unfreeze_part(build_model(SPEC, num_classes=3, seed=0), f"last:{'9' * 5000}")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    pytest.importorskip("h5py", reason="h5py is not installed (extra: keras)")
    return write_keras(tmp_path / "x.weights.h5")


def test_a_keras_file_holds_the_network_it_was_made_of(weights: Path) -> None:
    found, network = read_keras(weights, SPEC), build_model(SPEC, num_classes=3, seed=0)
    expected = {name: tensor for name, tensor in network.state_dict().items() if "num_batches" not in name}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((2**20, 2**20), "says it has 4,398,046,511,104 bytes, more than the file"),
        ((2**40,), "says it has 4,398,046,511,104 bytes, more than the file"),
        ((3,), r"its layer conv2d 1 \(3\) do not fit such a layer"),
        ((1,) * 32, "do not fit such a layer"),
        ((), "do not fit such a layer"),
    ],
)
@pytest.mark.parametrize("chunks", [None, True])
def test_an_array_of_another_shape_is_named(
    weights: Path, shape: tuple[int, ...], said: str, chunks: bool | None
) -> None:
    import h5py

    with h5py.File(weights, "r+") as file:
        variables = file["layers/conv2d/vars"]
        del variables["0"]
        variables.create_dataset("0", shape=shape, dtype="f4", chunks=chunks if shape else None)
    with pytest.raises(WeightsError, match=said):
        read_keras(weights, SPEC)


@pytest.mark.parametrize("kind", ["missing", "too many", "text", "a group", "nowhere"])
def test_arrays_that_are_none_are_refused(weights: Path, kind: str) -> None:
    import h5py

    with h5py.File(weights, "r+") as file:
        variables = file["layers/batch_normalization/vars"]
        del variables["0"]
        if kind == "too many":
            variables["0"], variables["4"] = np.zeros(8, np.float32), np.zeros(8, np.float32)
        elif kind == "text":
            variables["0"] = "eight"
        elif kind == "a group":
            variables.create_group("0")
        elif kind == "nowhere":
            variables["0"] = h5py.SoftLink("/nowhere")
    with pytest.raises(WeightsError, match=r"x\.weights\.h5"):
        read_keras(weights, SPEC)
