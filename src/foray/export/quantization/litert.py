"""int8 for LiteRT: static quantisation with ai-edge-quantizer."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foray.export.quantization.layers import WeightedLayer, operators_by_layer
from foray.export.quantization.settings import Settings
from foray.export.quantization.train_images import UInt8Images
from foray.export.quiet import quiet
from foray.records import available_cores, write_bytes

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def quantize_litert(
    float_model: Path, images: UInt8Images, target: Path, settings: Settings, layers: Sequence[WeightedLayer]
) -> None:
    """Writes `float_model`, a float32 .tflite file, with int8 weights and activations to `target`.

    `images`: uint8 (N, R, R, 3), fed one by one. `layers`: of the network it was exported from. What precedes the
    first layer and the softmax stay in float32, so input and output remain what they are.
    """
    with quiet():
        from ai_edge_quantizer import calibrator, quantizer
        from ai_edge_quantizer.recipe_manager import RecipeManager
        from ai_edge_quantizer.utils import qsv_utils

        content = float_model.read_bytes()
        recipe = RecipeManager()
        _describe(recipe, _Graph(content), settings, layers)
        update = {"full": qsv_utils.min_max_update, "clipped": qsv_utils.moving_average_update}[settings.ranges]
        # typed as a path or bytes; the threads are those of the float model that is watched
        calibration = calibrator.Calibrator(content, num_threads=available_cores(), qsv_update_func=update)
        signature = calibration.get_signature_list()
        ((name, ends),) = signature.items()
        (image_input,) = ends["inputs"]
        calibration.calibrate({name: [{image_input: image[None]} for image in images]}, recipe)
        tool = quantizer.Quantizer(bytearray(content), recipe.get_quantization_recipe())
        result = tool.quantize(calibration.get_model_qsvs(), enable_progress_report=False)
    assert result.quantized_model is not None
    write_bytes(target, bytes(result.quantized_model))


def _describe(recipe: Any, graph: _Graph, settings: Settings, layers: Sequence[WeightedLayer]) -> None:
    """Everything to int8 but preprocessing, softmax, the layers that stay in float32 and what computes their input,
    which would be rounded where it is written; later lines win.
    """
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

    granularity = {"channel": QuantGranularity.CHANNELWISE, "tensor": QuantGranularity.TENSORWISE}
    recipe.add_static_config(
        ".*", TFLOperationName.ALL_SUPPORTED, 8, 8, weight_granularity=granularity[settings.weights]
    )
    by_layer = operators_by_layer(layers, [o for o in graph.operators if graph.weights(o)], graph.weights)
    before = graph.operators[: graph.operators.index(by_layer[layers[0].name])]
    softmax = [operator for operator in graph.operators if graph.kind(operator) == "SOFTMAX"]
    kept = [by_layer[name] for name in settings.float_layers]
    for operator in (*before, *softmax, *kept, *(graph.producer(o) for o in kept)):
        recipe.add_quantization_config(
            re.escape(graph.scope(operator)),
            TFLOperationName.ALL_SUPPORTED,
            algorithm_key=AlgorithmName.NO_QUANTIZE,
        )
    for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
        recipe.add_quantization_config(".*", end, algorithm_key=AlgorithmName.NO_QUANTIZE)


class _Graph:
    """The operators of a .tflite file, in order."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_quantizer.utils import tfl_flatbuffer_utils

        self._tool = tfl_flatbuffer_utils
        self._model = tfl_flatbuffer_utils.read_model(bytearray(content))
        (self._subgraph,) = self._model.subgraphs
        self.operators: list[Any] = list(self._subgraph.operators)

    def kind(self, operator: Any) -> str:
        """CONV_2D, SOFTMAX, ...; empty for an operator the quantiser does not know."""
        code = self._model.operatorCodes[operator.opcodeIndex].builtinCode
        name = self._tool.TFL_OP_CODE_TO_NAME.get(code)
        return name.value if name else ""

    def scope(self, operator: Any) -> str:
        """The name the quantiser's recipes are matched with."""
        return str(self._tool.get_op_scope(operator, self._subgraph.tensors))

    def weights(self, operator: Any) -> int:
        """How many weights a convolution or dense layer holds; 0 for other operators."""
        if self.kind(operator) not in _WEIGHTED:
            return 0
        return math.prod(self._subgraph.tensors[operator.inputs[1]].shape)

    def producer(self, reader: Any) -> Any:
        """The operator that computes what `reader` reads; rectifiers are part of operators here."""
        return next(operator for operator in self.operators if reader.inputs[0] in operator.outputs)
