"""Folders in timm's layout, made to order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from foray.models import build_model
from foray.specs import get_spec
from foray.weights.key_map import timm_keys


@pytest.fixture
def write_weights():
    """`_write_weights`."""
    return _write_weights


def _write_weights(
    folder: Path,
    *,
    architecture: str = "mobilenetv1_025",
    name: str = "tf_mobilenet_v1_x0.25",
    num_classes: int = 6,
    model_args: dict | None = None,
    pretrained_cfg: dict | None = None,
    half: bool = False,
    **config: object,
) -> dict[str, torch.Tensor]:
    """A folder in timm's layout with random weights of `name`; returns them by foray's keys."""
    folder.mkdir(parents=True)
    network = build_model(get_spec(name), num_classes=max(1, num_classes), seed=9)
    for key, buffer in network.named_buffers():
        if key.endswith("running_mean"):
            buffer.normal_(generator=torch.Generator().manual_seed(3))
    keys = timm_keys(network.spec)
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    if half:
        state = {key: tensor.half() if tensor.ndim > 1 else tensor for key, tensor in state.items()}
    if num_classes == 0:
        state = {key: tensor for key, tensor in state.items() if not key.startswith("classifier")}
    save_file({keys[key]: tensor for key, tensor in state.items()}, folder / "model.safetensors")
    text = {
        "architecture": architecture,
        "num_classes": num_classes,
        "model_args": {"pad_type": "same", "bn_eps": 0.001} if model_args is None else model_args,
        "pretrained_cfg": {"license": "cc0-1.0"} | (pretrained_cfg or {}),
        "origin": "a test",
    } | config
    (folder / "config.json").write_text(json.dumps(text))
    return state
