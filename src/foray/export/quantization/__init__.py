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
| `loss` | what int8 loses on validation images |
| `remedies` | what is tried, in order, where too much is lost, and what that costs in time |
| `quantize` | the entry |
"""

from foray.export.quantization.fine_tuning import FineTuning
from foray.export.quantization.loss import int8_loss
from foray.export.quantization.quantize import Int8Request, Quantized, quantize, remedies_for
from foray.export.quantization.remedies import Remedies
from foray.export.quantization.sensitivity import LayerSensitivity, PreCheck, pre_check
from foray.export.quantization.settings import Settings
from foray.export.quantization.train_images import TrainImages, train_images

__all__ = [
    "FineTuning",
    "Int8Request",
    "LayerSensitivity",
    "PreCheck",
    "Quantized",
    "Remedies",
    "Settings",
    "TrainImages",
    "int8_loss",
    "pre_check",
    "quantize",
    "remedies_for",
    "train_images",
]
