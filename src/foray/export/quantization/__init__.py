"""int8: post-training quantisation with the tool each runtime recommends, and what to do where accuracy falls.

`quantize` writes one network for one runtime, measures, and tries remedies; `pre_check` predicts before any export.

| module | holds |
|---|---|
| `settings` | what the tools are told |
| `train_images` | the seeded, stratified sample of the train split |
| `layers` | the layers with weights, and which operator of an exported graph is which |
| `onnx`, `openvino`, `litert`, `executorch` | one function a runtime |
| `fake_quantization` | int8 simulated in PyTorch |
| `bias_correction` | biases that make up for the mean error of rounding |
| `sensitivity`, `advice` | the pre-check |
| `fine_tuning` | short quantisation-aware fine-tuning |
| `remedies` | what is tried, in order, until the loss is within the tolerance |
| `quantize` | the entry |
"""

from foray.export.quantization.fine_tuning import FineTuning
from foray.export.quantization.quantize import FEW_IMAGES, Quantized, quantize
from foray.export.quantization.sensitivity import LayerSensitivity, PreCheck, pre_check
from foray.export.quantization.settings import Settings
from foray.export.quantization.train_images import TrainImages, train_images

__all__ = [
    "FEW_IMAGES",
    "FineTuning",
    "LayerSensitivity",
    "PreCheck",
    "Quantized",
    "Settings",
    "TrainImages",
    "pre_check",
    "quantize",
    "train_images",
]
