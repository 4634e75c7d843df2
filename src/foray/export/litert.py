"""LiteRT (once TensorFlow Lite) flatbuffers: one prepared image a call."""

from __future__ import annotations

from pathlib import Path

from foray.export.graph import Deployable, example_images
from foray.export.quiet import quiet
from foray.records.files import write_bytes

ENTRY = "model.tflite"


def write(module: Deployable, folder: Path) -> Path:
    """Writes `module` in float32 as folder/model.tflite; returns the path."""
    with quiet():
        import litert_torch

        converted = litert_torch.convert(module, (example_images(module),))
        folder.mkdir(parents=True, exist_ok=True)
        converted.export(str(folder / ENTRY))
    return folder / ENTRY


def halve_weights(entry: Path) -> None:
    """Stores the weights of the float32 model in `entry` as float16.

    On a CPU they are converted when the model is loaded; LiteRT's GPU delegates compute in float16 from them.
    """
    with quiet():
        from ai_edge_quantizer import quantizer
        from ai_edge_quantizer.algorithm_manager import AlgorithmName
        from ai_edge_quantizer.qtyping import TFLOperationName
        from ai_edge_quantizer.recipe_manager import RecipeManager

        recipe = RecipeManager()
        for kind in (TFLOperationName.CONV_2D, TFLOperationName.DEPTHWISE_CONV_2D, TFLOperationName.FULLY_CONNECTED):
            recipe.add_weight_only_config(".*", kind, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING)
        tool = quantizer.Quantizer(bytearray(entry.read_bytes()), recipe.get_quantization_recipe())
        halved = tool.quantize(enable_progress_report=False).quantized_model
    assert halved is not None
    write_bytes(entry, bytes(halved))
