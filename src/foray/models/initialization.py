"""Fresh weights, by each family's published rule, but for the classifier of EfficientNets with few classes.

`efficientnet`: convolutions normal with variance 2 / fan-out, where the fan-out of a depthwise kernel is that of one
channel (`conv_kernel_initializer` in tpu/models/official/efficientnet/efficientnet_model.py); classifier uniform in
+-1/sqrt(classes) (`dense_kernel_initializer`, same file), but never wider than for ImageNet's 1,000 classes. As printed
the rule gives 10 classes logits so large that training begins at a loss of about 4, where guessing has 2.3. Its first
gradients undo a pretrained backbone (Kumar et al. 2022, arXiv:2202.10054), and hold up training from scratch.
`mobilenet`: torchvision's MobileNetV2: convolutions normal with variance 2 / fan-out, a depthwise kernel counting all
channels; classifier normal with deviation 0.01. (TensorFlow-Slim draws everything with deviation 0.09; the batch norm
after each convolution makes the scale of its weights irrelevant to what the network computes.)
Both: biases 0, batch norm the identity.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import nn

from foray.specs import Initialization

_IMAGENET_CLASSES: Final = 1000


def has_large_form(rule: Initialization, classes: int) -> bool:
    """Whether the rule as printed draws a larger classifier than is drawn here."""
    return rule == "efficientnet" and classes < _IMAGENET_CLASSES


def initialize(
    network: nn.Module, rule: Initialization, generator: torch.Generator | None, *, large_classifier: bool = False
) -> None:
    """Draws every parameter of `network` and resets its batch-norm statistics. `generator` None: torch's global one.

    `large_classifier`: as the rule is printed. Runs were begun so whose record does not state `large_classifier`.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            _initialize_conv(module, rule, generator)
        elif isinstance(module, nn.Linear):
            _initialize_classifier(module, rule, generator, large=large_classifier)
        elif isinstance(module, nn.BatchNorm2d):
            _initialize_norm(module)


def _initialize_classifier(
    linear: nn.Linear, rule: Initialization, generator: torch.Generator | None, *, large: bool
) -> None:
    match rule:
        case "efficientnet":
            bound = 1.0 / math.sqrt(linear.out_features if large else max(linear.out_features, _IMAGENET_CLASSES))
            nn.init.uniform_(linear.weight, -bound, bound, generator=generator)
        case "mobilenet":
            nn.init.normal_(linear.weight, 0.0, 0.01, generator=generator)
    nn.init.zeros_(linear.bias)


def _initialize_conv(conv: nn.Conv2d, rule: Initialization, generator: torch.Generator | None) -> None:
    fan_out = conv.out_channels * conv.kernel_size[0] * conv.kernel_size[1]
    if rule == "efficientnet":
        fan_out //= conv.groups
    nn.init.normal_(conv.weight, 0.0, math.sqrt(2.0 / fan_out), generator=generator)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def _initialize_norm(norm: nn.BatchNorm2d) -> None:
    norm.reset_running_stats()
    nn.init.ones_(norm.weight)
    nn.init.zeros_(norm.bias)
