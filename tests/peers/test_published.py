"""Published numbers, preprocessing and hub ids against what torchvision and timm ship."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foray.specs import get_spec
from foray.weights import HUB_IDS
from foray.weights.timm_layout import read_config

TORCHVISION = [
    *(f"efficientnet_b{i}" for i in range(8)),
    *(f"efficientnet_v2_{size}" for size in "sml"),
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    *(f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3")),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101)),
]


@pytest.mark.parametrize("name", TORCHVISION)
def test_numbers_and_transform_are_those_of_torchvisions_weights(torchvision, name: str) -> None:
    spec = get_spec(name)
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    assert spec.published.params == weights.meta["num_params"]
    assert spec.published.top1 == pytest.approx(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100)
    assert spec.published.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=5e-4)  # printed with three decimals
    transform, ours = weights.transforms(), spec.preprocessing
    assert (ours.resolution, ours.resize_side) == (transform.crop_size[0], transform.resize_size[0])
    assert (list(ours.mean), list(ours.std)) == (transform.mean, transform.std)
    assert ours.interpolation == transform.interpolation.value


@pytest.mark.parametrize("index", range(8))
def test_efficientnet_preprocessing_is_timms(timm, index: int) -> None:
    ours = get_spec(f"tf_efficientnet_b{index}").preprocessing
    theirs = timm.get_pretrained_cfg(f"tf_efficientnet_b{index}")
    assert ours.resolution == theirs.input_size[1]
    assert ours.resize_side == ours.resolution + 32  # the authors' CROP_PADDING, which timm cuts to three decimals
    assert ours.crop_pct == pytest.approx(theirs.crop_pct, abs=1e-3)
    assert ours.interpolation == theirs.interpolation


@pytest.mark.parametrize(("name", "hub_id"), HUB_IDS.items())
def test_hub_ids_exist_in_timm_and_describe_the_variant_asked_for(timm, tmp_path: Path, name: str, hub_id: str) -> None:
    """The config.json that timm writes for this repository is read as the spec the table promises."""
    architecture, tag = hub_id.removeprefix("timm/").split(".", 1)
    theirs = timm.get_pretrained_cfg(f"{architecture}.{tag}", allow_unregistered=False)
    assert theirs.hf_hub_id == hub_id
    details = theirs.to_dict()
    config = {"architecture": architecture, "num_classes": theirs.num_classes, "pretrained_cfg": details}
    (tmp_path / "config.json").write_text(json.dumps(config))
    read = read_config(tmp_path)
    assert read.spec.name == name
    assert read.preprocessing.resolution == theirs.input_size[1]
    assert read.preprocessing.mean == pytest.approx(theirs.mean)
