"""Fresh weights in place of pretrained ones, so that a mini run goes through the same code where none are there."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save

from foray.models import build_model
from foray.records import write_bytes, write_text
from foray.specs import get_spec
from foray.weights.key_map import timm_keys
from foray.weights.timm_layout import CONFIG_FILE, WEIGHTS_FILE

_CLASSES = 1000
_TIMM_NAMES = {"mobilenet_v2": "mobilenetv2_100", "efficientnet_v2_b0": "efficientnetv2_b0"}


def write_random_weights(folder: Path, model: str) -> Path:
    """A folder in timm's layout with `model` as seed 0 initialises it, for 1000 classes; written once."""
    target = folder / f"{model}.random"
    if not (target / CONFIG_FILE).is_file():
        network = build_model(get_spec(model), num_classes=_CLASSES, seed=0)
        names = timm_keys(network.spec)
        tensors = {names[key]: tensor.contiguous() for key, tensor in network.state_dict().items()}
        config = {
            "architecture": _TIMM_NAMES.get(model, model),
            "num_classes": _CLASSES,
            "model_args": {"bn_eps": network.spec.bn_eps},
            "pretrained_cfg": {"notes": "random weights: nobody trained them"},
        }
        write_bytes(target / WEIGHTS_FILE, save(tensors))
        write_text(target / CONFIG_FILE, json.dumps(config, indent=1))  # last: it says the weights are there
    return target
