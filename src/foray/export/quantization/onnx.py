"""int8 for ONNX Runtime: static quantisation in the QDQ format with onnxruntime.quantization."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from foray.export.quantization.layers import WeightedLayer, operators_by_layer
from foray.export.quantization.settings import Settings
from foray.export.quantization.train_images import UInt8Images
from foray.export.quiet import quiet
from foray.records import scratch_folder

if TYPE_CHECKING:
    import onnx

_WEIGHTED = ("Conv", "Gemm", "MatMul")
_PASSES_ON = ("Clip", "Relu")  # fused with what computes their input
_BATCH = 8


def quantize_onnx(
    float_model: Path, images: UInt8Images, target: Path, settings: Settings, layers: Sequence[WeightedLayer]
) -> None:
    """Writes `float_model`, a float32 .onnx file, with int8 weights and activations to `target`.

    `images`: uint8 (N, H, W, 3), what the model takes. `layers`: of the network it was exported from. What precedes the
    first layer (preprocessing) and the softmax stay in float32.

    Weights are signed, activations unsigned: the pair that onnxruntime multiplies with VNNI instructions (AVX-512 VNNI,
    AVX-VNNI, AMX) and with convolutions that need no im2col, twice as fast as two unsigned bytes. On x86 processors
    without VNNI it saturates at 16 bits, which costs MobileNetV2 six points of accuracy, unless the session is told
    otherwise: `foray.deploy.predict` does so on processors that are not known to have VNNI. (Weights of 7 bits, the
    other way out, lose more than that in depthwise layers.) Signed weights also have zero point 0 in every channel; of
    unsigned ones those that are all zeros had 0 and the others 128, for which onnxruntime has no fast convolution.
    """
    with scratch_folder("foray-onnx-int8") as folder, quiet():
        import onnx
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(float_model), str(prepared))
        model = onnx.load(prepared)
        _name_nodes(model)
        onnx.save(model, prepared)
        quantize_static(
            str(prepared),
            str(target),
            _Reader(model.graph.input[0].name, images, 1 if settings.ranges == "clipped" else _BATCH),
            quant_format=QuantFormat.QDQ,
            per_channel=settings.weights == "channel",
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_kept_in_float(model, settings.float_layers, layers),
            extra_options={
                "WeightSymmetric": True,  # zero point 0 in every channel, as the kernels want it
                # Clipped: the mean over images of each image's extremes, in place of the extremes over all.
                "CalibMovingAverage": settings.ranges == "clipped",
            },
        )


class _Reader:
    """What onnxruntime calls a CalibrationDataReader: batches one after the other, then None."""

    def __init__(self, name: str, images: UInt8Images, batch: int) -> None:
        self._batches: Iterator[dict[str, UInt8Images]] = (
            {name: images[start : start + batch]} for start in range(0, len(images), batch)
        )

    def get_next(self) -> dict[str, UInt8Images] | None:
        return next(self._batches, None)

    def __iter__(self) -> Iterator[dict[str, UInt8Images]]:
        return self._batches


def _name_nodes(model: onnx.ModelProto) -> None:
    """Gives a name to nodes the optimiser left without one: they are excluded by name."""
    for position, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{position}"


def _kept_in_float(model: onnx.ModelProto, names: Sequence[str], layers: Sequence[WeightedLayer]) -> list[str]:
    """Names of the nodes that are not quantised: preprocessing, softmax, the layers called `names`, and what computes
    their input, which would be rounded where it is written.
    """
    constants = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}

    def weights(node: onnx.NodeProto) -> int:
        size: int = constants[node.input[1]]
        return size

    weighted = [node for node in model.graph.node if node.op_type in _WEIGHTED and node.input[1] in constants]
    by_layer = operators_by_layer(layers, weighted, weights)
    network = _descendants(model, by_layer[layers[0].name])
    outside = [node.name for node in model.graph.node if node.name not in network or node.op_type == "Softmax"]
    kept = [by_layer[name] for name in names]
    return outside + [node.name for layer in kept for node in [layer, *_producers(model, layer)]]


def _producers(model: onnx.ModelProto, reader: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """The node that computes what `reader` reads; with a rectifier, both."""
    by_output = {output: node for node in model.graph.node for output in node.output}
    while reader.input[0] in by_output:
        reader = by_output[reader.input[0]]
        yield reader
        if reader.op_type not in _PASSES_ON:
            return


def _descendants(model: onnx.ModelProto, first: onnx.NodeProto) -> set[str]:
    """Names of `first` and of all nodes that use what it computes; nodes are in topological order."""
    reached, names = set(first.output), {first.name}
    for node in model.graph.node:
        if reached & set(node.input):
            reached |= set(node.output)
            names.add(node.name)
    return names
