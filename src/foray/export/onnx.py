"""ONNX files, for ONNX Runtime and whatever else reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from foray.export import onnx_prepare
from foray.export.graph import Deployable, example_images
from foray.export.quiet import quiet
from foray.records.files import write_bytes
from foray.specs import Preprocessing

if TYPE_CHECKING:
    import onnx

ENTRY = "model.onnx"
# Of 2023, read by onnxruntime 1.14 and later; nothing newer is needed.
_OPSET = 18
_INPUT, _OUTPUT = onnx_prepare.INPUT, "probabilities"


def write(module: Deployable, folder: Path) -> Path:
    """Writes `module` in float32 as folder/model.onnx, for any number of prepared images; returns the path."""
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example_images(module, n=2),),
            dynamo=True,
            opset_version=_OPSET,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            verbose=False,
        )
    assert program is not None
    return _saved(_for_any_number(program.model_proto), folder)


def _for_any_number(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, exported for two images, for any number of them.

    No operator of ours depends on how many there are, so that a name in place of the two is enough. Asked for a batch
    of any size, PyTorch's exporter computes with symbols instead, and takes two to three times as long.
    """
    import onnx.shape_inference

    (images,), (probabilities,) = model.graph.input, model.graph.output
    for value in (images, probabilities):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]  # for two images
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    if inferred.graph.output[0].type.tensor_type.shape.dim[0].dim_param != "batch":
        raise AssertionError("An operator of this network depends on the number of images; write it another way.")
    return inferred


def add_prepare(entry: Path, preprocessing: Preprocessing) -> None:
    """Puts resize and crop before the model in `entry`, float or int8, which then takes images of any size."""
    import onnx.compose

    model = onnx.load(entry)
    (opset,) = (opset.version for opset in model.opset_import if not opset.domain)
    before = onnx.compose.add_prefix(
        onnx_prepare.prepare_model(preprocessing, opset, model.ir_version),
        "prepare/",
        rename_inputs=False,
    )
    given, squares = model.graph.input[0].name, before.graph.output[0].name
    for node in model.graph.node:
        node.input[:] = [squares if name == given else name for name in node.input]
    nodes = [*before.graph.node, *model.graph.node]
    del model.graph.node[:], model.graph.input[:]
    model.graph.node.extend(nodes)
    model.graph.input.extend(before.graph.input)
    model.graph.initializer.extend(before.graph.initializer)
    _saved(model, entry.parent)


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


def _saved(model: onnx.ModelProto, folder: Path) -> Path:
    write_bytes(folder / ENTRY, model.SerializeToString())
    return folder / ENTRY
