"""int8 for OpenVINO: post-training quantisation with NNCF."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foray.export.quantization.layers import WeightedLayer, operators_by_layer
from foray.export.quantization.settings import Settings
from foray.export.quantization.train_images import UInt8Images
from foray.export.quiet import quiet

_WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")


def quantize_openvino(
    float_model: Path, images: UInt8Images, target: Path, settings: Settings, layers: Sequence[WeightedLayer]
) -> None:
    """Writes `float_model`, a float32 .xml file with its .bin, with int8 weights and activations to `target` (.xml).

    `images`: uint8 (N, H, W, 3), what the model takes, fed one by one. `layers`: of the network it was exported from.
    What precedes the first layer and the softmax stay in float32. Weights of the first layer keep to half the range
    (NNCF's default), so that CPUs without VNNI do not saturate. NNCF also corrects biases for the mean error.
    """
    with quiet():
        import nncf
        import openvino

        model = openvino.Core().read_model(float_model)
        quantized = nncf.quantize(
            model,
            nncf.Dataset([image[None] for image in images]),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(names=_kept_in_float(model, settings.float_layers, layers)),
            advanced_parameters=_advanced(settings),
        )
        openvino.save_model(quantized, target, compress_to_fp16=False)


def _advanced(settings: Settings) -> Any:
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, QuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    ranges = {"full": RangeEstimatorParametersSet.MINMAX, "clipped": RangeEstimatorParametersSet.MEAN_MINMAX}
    return AdvancedQuantizationParameters(
        weights_quantization_params=QuantizationParameters(per_channel=settings.weights == "channel"),
        # NNCF would give each channel that a depthwise convolution reads a range of its own. Clipped ones then cut off
        # what single channels say loudest: EfficientNetV2-B0 lost 23 points by it, and loses 2 without.
        activations_quantization_params=QuantizationParameters(per_channel=False),
        activations_range_estimator_params=ranges[settings.ranges],
    )


def _kept_in_float(model: Any, names: Sequence[str], layers: Sequence[WeightedLayer]) -> list[str]:
    """Names of the operations NNCF leaves alone: preprocessing, softmax, and the layers called `names`."""
    operations = model.get_ordered_ops()
    weighted = [operation for operation in operations if operation.get_type_name() in _WEIGHTED]
    constant = [operation for operation in weighted if _weights(operation)]
    by_layer = operators_by_layer(layers, constant, _weights)
    network = _descendants(operations, by_layer[layers[0].name])
    outside = [
        operation.get_friendly_name()
        for operation in operations
        if operation.get_type_name() not in ("Parameter", "Constant", "Result")
        and (operation.get_friendly_name() not in network or operation.get_type_name() == "Softmax")
    ]
    return outside + [by_layer[name].get_friendly_name() for name in names]


def _weights(operation: Any) -> int:
    """How many weights the operation's constant holds; 0 if both its inputs are computed."""
    source = operation.input_value(1).get_node()
    while source.get_type_name() in ("Convert", "Reshape") and source.get_input_size() > 0:
        source = source.input_value(0).get_node()
    return math.prod(source.get_output_shape(0)) if source.get_type_name() == "Constant" else 0


def _descendants(operations: Sequence[Any], first: Any) -> set[str]:
    """Names of `first` and of all operations that use what it computes; they are in topological order."""
    names = {first.get_friendly_name()}
    for operation in operations:
        inputs = {operation.input_value(i).get_node().get_friendly_name() for i in range(operation.get_input_size())}
        if inputs & names:
            names.add(operation.get_friendly_name())
    return names
