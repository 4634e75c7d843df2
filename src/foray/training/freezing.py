"""Frozen and trained layers: the protocol `partial`, gradual unfreezing, batch norms of frozen layers.

`last:34` unfreezes the last 34 layers as Keras counts them (foray.models.counted_layers), `stages.6,head` parts of the
network by name. The classifier, which is new, is always trained. Parts are also what learning rates differ by.
"""

from __future__ import annotations

import re

from torch import nn

from foray.errors import ForayError
from foray.models import Network, counted_layers
from foray.parsing import shortened

_EARLY_STRIDE = 4
_LAST = re.compile(r"last:(\d{1,9})")


def unfreeze_part(network: Network, unfreeze: str) -> list[str]:
    """Leaves only what `unfreeze` names, and the classifier, trainable; returns the names of the unfrozen layers.

    Names are those of convolutions, batch norms and dense layers, in the order they run. Raises ForayError for a count
    that is not positive or beyond the network, and for parts it does not have.
    """
    modules = _last_layers(network, unfreeze) if _LAST.fullmatch(unfreeze) else _named_parts(network, unfreeze)
    network.requires_grad_(False)
    for name in modules:
        network.get_submodule(name).requires_grad_(True)
    network.classifier.requires_grad_(True)
    return [*modules, "classifier"]


def freeze_backbone(network: nn.Module, head: nn.Module) -> None:
    """Leaves only the parameters of `head` trainable."""
    network.requires_grad_(False)
    head.requires_grad_(True)


def set_training_mode(network: nn.Module) -> None:
    """Training mode, except where every parameter is frozen: there batch norm keeps its statistics and nothing drops.

    A frozen batch norm left in training mode would still move its running mean and variance.
    """
    parameters = list(network.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        network.eval()
        return
    network.training = True
    for child in network.children():
        set_training_mode(child)


class PartsFromTheTop:
    """Trains a network from the classifier down to some part; what is frozen at the start stays frozen.

    Parts: classifier, hidden, head, the stages from the last to the first, stem; those without anything to train are
    no parts. An optimiser made before holds all that is ever trained, and leaves alone what has no gradient.
    """

    def __init__(self, network: Network) -> None:
        from_the_top = reversed(network_parts(network).items())
        trainable = {name: [p for p in part.parameters() if p.requires_grad] for name, part in from_the_top}
        self._parts = {name: parameters for name, parameters in trainable.items() if parameters}

    def __len__(self) -> int:
        """Number of parts."""
        return len(self._parts)

    def train(self, count: int) -> list[str]:
        """Leaves only the first `count` parts trainable; returns their names."""
        for at, parameters in enumerate(self._parts.values()):
            for parameter in parameters:
                parameter.requires_grad_(at < count)
        return list(self._parts)[:count]


def _last_layers(network: Network, unfreeze: str) -> list[str]:
    layers, wanted = counted_layers(network), int(unfreeze.removeprefix("last:"))
    if not 1 <= wanted <= len(layers):
        raise ForayError(
            f"`unfreeze` {unfreeze}: {network.spec.name} has {len(layers)} layers as Keras counts them. Name 1 to "
            f"{len(layers)}, or use `protocol` finetune for all."
        )
    dense = ["hidden.linear"] if network.spec.hidden_features else []  # above the pooling, as the classifier
    return [*(name for layer in layers[-wanted:] for name in layer.modules), *dense]


def _named_parts(network: Network, unfreeze: str) -> list[str]:
    known = ["stem", *(f"stages.{i}" for i in range(len(network.stages)))]
    known += ["head"] if network.spec.head else []
    known += ["hidden"] if network.spec.hidden_features else []
    wanted = [part.strip() for part in unfreeze.split(",")]
    if unknown := [part for part in wanted if part not in known]:
        raise ForayError(
            f"`unfreeze` {shortened(unfreeze)}: {network.spec.name} has no part {shortened(unknown[0])!r}. Write "
            f"last:34 (layers, counted as Keras does) or parts: {', '.join(known)}."
        )
    layers = [
        name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear)
    ]
    return [name for name in layers if any(name.startswith(f"{part}.") for part in wanted)]


def network_parts(network: Network) -> dict[str, nn.Module]:
    """`stem`, `stages.0` and on, `head`, `hidden`, `classifier`, in the order they run; those without weights left out.

    Every parameter of the network is in exactly one part.
    """
    parts: dict[str, nn.Module] = {"stem": network.stem}
    parts |= {f"stages.{i}": stage for i, stage in enumerate(network.stages)}
    parts |= {"head": network.head, "hidden": network.hidden, "classifier": network.classifier}
    return {name: part for name, part in parts.items() if any(True for _ in part.parameters())}


def early_parts(network: Network) -> int:
    """How many parts, from the stem on, give maps of a quarter of the image's side or more."""
    stem_stride = 1 if network.small_image == "stride1_stem" else network.spec.stem.stride
    stride = stem_stride * (2 if network.spec.stem_pool else 1)
    count = 1 if stride <= _EARLY_STRIDE else 0
    for row in network.spec.stages:
        stride *= row.stride
        count += 1 if stride <= _EARLY_STRIDE else 0
    return count
