"""Every set of weights that timm publishes for the families here, as a folder that timm itself writes.

The tags' own configurations are read in full, for networks on the meta device; outputs are compared for one network of
each kind and of each batch-norm epsilon.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from foray.errors import WeightsError
from foray.models import build_model
from foray.weights import create_model, find_weights, load_weights
from foray.weights.key_map import timm_keys
from foray.weights.timm_layout import read_config
from tools.peers import settle

FAMILIES = re.compile(
    r"(tf_)?(efficientnet_|efficientnetv2_|mobilenetv[1-5]_|mobilenet_|mnasnet|semnasnet|ghostnet|legacy_xception"
    r"|xception|resnet\d)"
)
# timm's names that begin like ours and are of other networks: that they are refused, and why.
OTHERS = {
    "EfficientNet of other sizes, pruned, for edge devices, with experts or of timm's own": (
        "tf_efficientnet_b8 tf_efficientnet_l2 efficientnet_b1_pruned efficientnet_b2_pruned efficientnet_b3_pruned "
        "efficientnet_es efficientnet_em efficientnet_el efficientnet_es_pruned efficientnet_el_pruned "
        "tf_efficientnet_es tf_efficientnet_em tf_efficientnet_el tf_efficientnet_cc_b0_4e tf_efficientnet_cc_b0_8e "
        "tf_efficientnet_cc_b1_8e efficientnet_x_b5 efficientnet_h_b5"
    ),
    "EfficientNetV2 XL, and timm's own": (
        "tf_efficientnetv2_xl efficientnetv2_rw_t efficientnetv2_rw_s efficientnetv2_rw_m"
    ),
    "MobileNetV1 with a dense layer, deeper MobileNetV2, MobileNetV3 of other widths": (
        "mobilenetv1_100h mobilenetv2_110d mobilenetv2_120d mobilenetv3_large_150d mobilenetv3_rw "
        "mobilenetv3_small_050 mobilenetv3_small_075 tf_mobilenetv3_large_075 tf_mobilenetv3_small_075"
    ),
    "MobileNet-EdgeTPU, MobileNetV4 and V5": (
        "mobilenet_edgetpu_v2_m mobilenetv4_conv_small mobilenetv4_conv_small_050 mobilenetv4_conv_medium "
        "mobilenetv4_conv_large mobilenetv4_conv_aa_large mobilenetv4_conv_blur_medium mobilenetv4_hybrid_medium "
        "mobilenetv4_hybrid_large mobilenetv5_300m"
    ),
    "MnasNet-Small, A1 of another width": "mnasnet_small semnasnet_075",
    "GhostNetV2 and V3": "ghostnetv2_100 ghostnetv2_130 ghostnetv2_160 ghostnetv3_100",
    "Xception aligned, as of DeepLab": "xception41 xception41p xception65 xception65p xception71",
    "ResNet of other depths, stems, pooling, normalisation or attention": (
        "resnet10t resnet14t resnet18d resnet26 resnet26d resnet26t resnet32ts resnet33ts resnet34d resnet50_clip "
        "resnet50_clip_gap resnet50_gn resnet50c resnet50d resnet50s resnet50x16_clip resnet50x16_clip_gap "
        "resnet50x4_clip resnet50x4_clip_gap resnet50x64_clip resnet50x64_clip_gap resnet51q resnet61q resnet101_clip "
        "resnet101_clip_gap resnet101c resnet101d resnet101s resnet152 resnet152c resnet152d resnet152s resnet200d"
    ),
}
LOADED = (  # the cheapest of each kind
    *("mobilenetv1_100", "mobilenetv2_050", "mobilenetv3_small_100", "mobilenetv3_large_100", "mnasnet_100"),
    *("semnasnet_100", "ghostnet_100", "resnet18", "legacy_xception", "efficientnet_b0", "efficientnet_b5"),
    *("efficientnet_lite0", "tf_efficientnet_b0", "tf_efficientnetv2_b0", "tf_mobilenetv3_small_100"),
    *("tf_mobilenetv3_small_minimal_100",),
)


@cache
def published() -> dict[str, dict[str, Any]]:
    """Architecture to its tags, each with timm's `pretrained_cfg`."""
    from timm.models import get_pretrained_cfg, list_pretrained

    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for name in list_pretrained():
        architecture, _, tag = name.partition(".")
        if FAMILIES.match(architecture):
            found[architecture][tag] = get_pretrained_cfg(name)
    return found


def ours() -> Iterator[str]:
    others = " ".join(OTHERS.values()).split()
    return (architecture for architecture in published() if architecture not in others)


def written(model: torch.nn.Module, config: Any, folder: Path) -> Path:
    """The config.json that timm writes for `model` with the weights of `config`."""
    from timm.models._hub import save_config_for_hf

    folder.mkdir(exist_ok=True)
    model.pretrained_cfg = config.to_dict()
    save_config_for_hf(model, str(folder / "config.json"))
    return folder


def test_the_configuration_of_every_tag_is_read(timm: ModuleType, tmp_path: Path) -> None:
    count = 0
    for architecture in ours():
        with torch.device("meta"):
            model = timm.create_model(architecture, num_classes=1000)
        tensors = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
        for tag, config in published()[architecture].items():
            found = read_config(written(model, config, tmp_path / "weights"))
            shown, what = found.preprocessing, f"{architecture}.{tag}"
            assert found.num_classes == 1000, what
            assert (3, shown.resolution, shown.resolution) == tuple(config.input_size), what
            assert (shown.crop_pct, shown.interpolation) == (config.crop_pct, config.interpolation), what
            assert (shown.mean, shown.std) == (config.mean, config.std), what
            assert shown.resize == {"center": "cut", "squash": "squashed"}[config.crop_mode], what
            count += 1
        norms = {norm.eps for norm in model.modules() if isinstance(norm, torch.nn.BatchNorm2d)}
        assert norms == {found.bn_eps}, architecture
        keys = timm_keys(found.spec)
        with torch.device("meta"):
            state = build_model(found.spec, num_classes=1000, seed=None).state_dict()
        assert sorted(keys.values()) == sorted(tensors), architecture
        for key, tensor in state.items():
            shape = tensors[keys[key]]
            assert tuple(tensor.shape) == (shape[:2] if key == "hidden.linear.weight" else shape), (architecture, key)
    assert count >= 120  # timm 1.0.31 has 120


def test_networks_that_are_not_ours_are_refused_by_name(timm: ModuleType, tmp_path: Path) -> None:
    for architecture in " ".join(OTHERS.values()).split():
        text = {"architecture": architecture, "num_classes": 1000, "pretrained_cfg": {}}
        (tmp_path / "config.json").write_text(json.dumps(text))
        with pytest.raises(WeightsError, match=f"foray has no architecture that is timm's {architecture}\\.$"):
            read_config(tmp_path)
    assert not set(" ".join(OTHERS.values()).split()) - set(timm.list_models())


@pytest.mark.parametrize("architecture", LOADED)
def test_a_folder_of_timms_gives_timms_outputs(timm: ModuleType, tmp_path: Path, architecture: str) -> None:
    from timm.models._hub import save_for_hf

    torch.manual_seed(0)
    tag = next(iter(published()[architecture]))
    peer = timm.create_model(f"{architecture}.{tag}", pretrained=False, num_classes=5).eval()
    images = torch.randn(3, 3, 75, 75, generator=torch.Generator().manual_seed(1))
    settle(peer, images)
    save_for_hf(peer, str(tmp_path), safe_serialization=True)
    requested = read_config(tmp_path).spec.name
    found = find_weights(tmp_path, requested)
    network = create_model(requested, num_classes=5, weights=tmp_path).eval()
    with torch.inference_mode():
        expected = peer(images)
        tolerance = 3e-4 * expected.abs().max()  # forty random blocks enlarge what float32 rounds
        assert (network(images) - expected).abs().max() < tolerance
        if found.bn_eps != found.spec.bn_eps:
            (note,) = load_weights(network, found).notes
            assert note.startswith(f"Their batch norms have the epsilon 1e-05, those of {requested} 0.001")
            load_weights(network, replace(found, bn_eps=found.spec.bn_eps))  # as if it were not converted
            assert (network(images) - expected).abs().max() > 30 * tolerance
