"""ONNX files, for ONNX Runtime and whatever else reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from foray.export.graph import Deployable, example_images
from foray.export.prepare import Prepare
from foray.export.quiet import quiet
from foray.records.files import write_bytes
from foray.specs import Preprocessing

if TYPE_CHECKING:
    import onnx

ENTRY = "model.onnx"
# Of 2023, read by onnxruntime 1.14 and later; nothing newer is needed.
_OPSET = 18
_INPUT, _OUTPUT, _SQUARES = "images", "probabilities", "squares"


def write(module: Deployable, folder: Path) -> Path:
    """Writes `module` in float32 as folder/model.onnx, for any number of prepared images; returns the path."""
    example = example_images(module, n=2)
    batch = torch.export.Dim("batch", min=1)
    model = _exported(module, example, {"images": {0: batch}}, _INPUT, _OUTPUT)
    return _saved(model, folder)


def add_prepare(entry: Path, preprocessing: Preprocessing) -> None:
    """Puts resize and crop before the model in `entry`, float or int8, which then takes images of any size."""
    import onnx.compose

    model = onnx.load(entry)
    sizes = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("height"), 2: torch.export.Dim("width")}
    example = torch.zeros(2, 30, 40, 3, dtype=torch.uint8)
    before = _exported(Prepare(preprocessing), example, {"images": sizes}, _INPUT, _SQUARES)
    before = onnx.compose.add_prefix(before, "prepare/", rename_inputs=False, rename_outputs=False)
    with quiet():
        before.ir_version = model.ir_version = max(before.ir_version, model.ir_version)
        opsets = {opset.domain: opset.version for opset in model.opset_import}
        if opsets.get("", _OPSET) != _OPSET:
            before = onnx.version_converter.convert_version(before, opsets[""])
        given, result = model.graph.input[0].name, model.graph.output[0].name
        merged = onnx.compose.merge_models(before, model, io_map=[(_SQUARES, given)], outputs=[result])
    _saved(merged, entry.parent)


def halve_weights(entry: Path) -> None:
    """Stores the weights of the float32 model in `entry` as float16; they are converted when it is loaded.

    The computation stays float32: few CPUs compute in float16, and there onnxruntime would convert every activation.
    """
    import numpy as np
    import onnx
    from onnx import numpy_helper

    model = onnx.load(entry)
    casts = []
    for weights in model.graph.initializer:
        if weights.data_type != onnx.TensorProto.FLOAT or len(weights.dims) < 2:
            continue
        name, half = weights.name, numpy_helper.to_array(weights).astype(np.float16)
        weights.CopyFrom(numpy_helper.from_array(half, f"{name}/float16"))
        casts.append(onnx.helper.make_node("Cast", [weights.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _saved(model, entry.parent)


def _exported(
    module: nn.Module, example: torch.Tensor, dynamic_shapes: dict[str, Any], name: str, result: str
) -> onnx.ModelProto:
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            (example,),
            dynamo=True,
            dynamic_shapes=dynamic_shapes,
            opset_version=_OPSET,
            input_names=[name],
            output_names=[result],
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return model


def _saved(model: onnx.ModelProto, folder: Path) -> Path:
    write_bytes(folder / ENTRY, model.SerializeToString())
    return folder / ENTRY
