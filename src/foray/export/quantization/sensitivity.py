"""The pre-check: which layers, and which architectures, will suffer from int8, before anything is exported.

Each layer is quantised alone in simulation and its error measured where it matters, at the layer's own output after
its activation, relative to how much each output channel varies over images and pixels: a channel that one scale for
all leaves with two or three levels counts as much as its loud neighbours. SQNR, in dB, is the ratio of that variation
to the error; 6 dB are one bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foray.export.quantization.advice import advise
from foray.export.quantization.bias_correction import correct_biases
from foray.export.quantization.fake_quantization import (
    LayerRanges,
    Weighted,
    activations_after,
    batches,
    channel_sums,
    fake_quantize_activation,
    fake_quantize_weight,
    in_int8,
    is_rectified,
    named_layers,
    observe_ranges,
)
from foray.export.quantization.settings import Granularity
from foray.export.quantization.train_images import UInt8Images
from foray.models import Network, fold_batch_norm
from foray.progress import SILENT, Progress
from foray.specs import Preprocessing
from foray.statistics.intervals import wilson_interval

Labels = npt.NDArray[np.int64]

_WORST = 5
_SILENT_CHANNEL = 1e-6  # of the mean variance: a channel that says nothing has no error worth counting
_PERFECT_DB = 150.0  # a layer without error at all


@dataclass(frozen=True)
class LayerSensitivity:
    """One layer quantised alone. SQNR in dB, of its weights, of the activations it reads and writes, and of both.

    `agreement`: share of images whose label stays the same when this layer alone is int8; None where not measured.
    """

    name: str
    weight_sqnr_db: float
    activation_sqnr_db: float
    sqnr_db: float
    agreement: float | None = None


@dataclass(frozen=True)
class PreCheck:
    """`layers`: the most sensitive first. `agreement`: share of the `n` images whose label stays the same when every
    layer is int8 and biases are corrected, with its 95 % interval. `advice`: one sentence.
    """

    layers: tuple[LayerSensitivity, ...]
    agreement: float
    interval: tuple[float, float]
    n: int
    advice: str


def pre_check(
    network: Network,
    images: UInt8Images,
    preprocessing: Preprocessing,
    *,
    granularity: Granularity = "channel",
    worst: int = _WORST,
    progress: Progress = SILENT,
) -> PreCheck:
    """Simulates int8 on `images`, uint8 (N, R, R, 3) train images: about 64 are enough to rank layers.

    `granularity` of the weights' scales. For the `worst` layers by SQNR the agreement of labels is measured, which
    then decides the order among them. Takes about 10 + `worst` passes over `images`. `network` is left as it was.
    """
    folded = fold_batch_norm(network).requires_grad_(False)
    with progress.task("Pre-check for int8", total=3 + worst) as task:
        ranges = observe_ranges(folded, images, preprocessing)
        task.advance()
        layers = layer_errors(folded, ranges, images, preprocessing, granularity)
        task.advance()
        reference = _labels(folded, images, preprocessing)
        corrected = correct_biases(folded, images, preprocessing, granularity=granularity)
        with in_int8(corrected, ranges, list(ranges), granularity):
            kept = int((_labels(corrected, images, preprocessing) == reference).sum())
        task.advance()
        measured = []
        for layer in layers[:worst]:
            with in_int8(folded, ranges, [layer.name], granularity):
                same = _labels(folded, images, preprocessing) == reference
            measured.append(replace(layer, agreement=float(same.mean())))
            task.advance(note=layer.name)
    measured.sort(key=lambda layer: (layer.agreement, layer.sqnr_db))
    interval = wilson_interval(kept, len(images))
    return PreCheck(
        layers=(*measured, *layers[worst:]),
        agreement=kept / len(images),
        interval=interval,
        n=len(images),
        advice=advise(network.spec, kept / len(images), interval, len(images)),
    )


def layer_errors(
    network: Network,
    ranges: Mapping[str, LayerRanges],
    images: UInt8Images,
    preprocessing: Preprocessing,
    granularity: Granularity = "channel",
) -> list[LayerSensitivity]:
    """SQNR of every layer of `network` (batch norm folded), the lowest first, from one pass over `images`."""
    activations = activations_after(network)
    errors = {
        name: _LayerError(layer, activations.get(name), is_rectified(name, activations), ranges[name], granularity)
        for name, layer in named_layers(network).items()
    }
    with torch.no_grad(), _hooked(network, errors):
        for batch in batches(images, preprocessing):
            network(batch)
    return sorted((error.summary(name) for name, error in errors.items()), key=lambda layer: layer.sqnr_db)


class _LayerError:
    """Sums over images and pixels, per output channel, of one layer's activated output and of its errors."""

    def __init__(
        self,
        layer: Weighted,
        activation: nn.Module | None,
        rectified: bool,
        ranges: LayerRanges,
        granularity: Granularity,
    ) -> None:
        self.activation = copy.deepcopy(activation) if activation is not None else nn.Identity()
        self.rectified, self.ranges = rectified, ranges
        self.rounded = copy.deepcopy(layer)
        self.rounded.weight.copy_(fake_quantize_weight(layer.weight, granularity))
        channels = layer.weight.shape[0]
        self.total, self.squares, self.by_weights, self.by_activations = torch.zeros(4, channels, dtype=torch.float64)
        self.n = 0

    def add(self, layer: Weighted, x: Tensor, output: Tensor) -> None:
        """Takes in a batch: what the layer read and wrote."""
        exact = self._activated(output)
        rounded_weights = self._activated(self.rounded.forward(x))
        written = layer.forward(fake_quantize_activation(x, self.ranges.reads))
        if not self.rectified:
            written = fake_quantize_activation(written, self.ranges.writes)
        self.total += channel_sums(exact)
        self.squares += channel_sums(exact**2)
        self.by_weights += channel_sums((rounded_weights - exact) ** 2)
        self.by_activations += channel_sums((self._activated(written) - exact) ** 2)
        self.n += exact.numel() // exact.shape[1]

    def _activated(self, output: Tensor) -> Tensor:
        activated: Tensor = self.activation(output.clone())  # activations work in place
        return activated

    def summary(self, name: str) -> LayerSensitivity:
        variance = (self.squares - self.total**2 / self.n) / self.n
        heard = variance > _SILENT_CHANNEL * variance.mean()
        noise = [(error / self.n)[heard] / variance[heard] for error in (self.by_weights, self.by_activations)]
        weights, activations = (float(ratio.mean()) if heard.any() else 0.0 for ratio in noise)
        return LayerSensitivity(name, _decibels(weights), _decibels(activations), _decibels(weights + activations))


def _decibels(noise_to_signal: float) -> float:
    return min(-10 * math.log10(noise_to_signal), _PERFECT_DB) if noise_to_signal > 0 else _PERFECT_DB


@contextmanager
def _hooked(network: Network, errors: Mapping[str, _LayerError]) -> Iterator[None]:
    def watch(error: _LayerError) -> Callable[[Any, Any, Tensor], None]:
        return lambda layer, inputs, output: error.add(layer, inputs[0], output)

    layers = named_layers(network)
    hooks = [layers[name].register_forward_hook(watch(error)) for name, error in errors.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _labels(network: Network, images: UInt8Images, preprocessing: Preprocessing) -> Labels:
    with torch.no_grad():
        labels = [network(batch).argmax(1).numpy() for batch in batches(images, preprocessing)]
    return np.concatenate(labels)


def as_table(layers: Sequence[LayerSensitivity]) -> str:
    """Markdown: layer, SQNR of weights and activations in dB, labels that stay the same when it alone is int8."""
    rows = [
        f"| {layer.name} | {layer.weight_sqnr_db:.1f} | {layer.activation_sqnr_db:.1f} "
        f"| {'' if layer.agreement is None else f'{layer.agreement:.1%}'} |"
        for layer in layers
    ]
    head = ["| layer | weights, dB | activations, dB | labels kept |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])
