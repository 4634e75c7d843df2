"""ONNX files, for ONNX Runtime and whatever else reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

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


class _ByPlanes(nn.Module):
    """What a `Deployable` computes, with scaling and normalisation as a convolution of each plane with one weight.

    onnxruntime multiplies and adds (N, R, R, 3) with (3,) in 1.1 ms at 224 px, a quarter of what MobileNetV2 takes in
    int8. Planes would be fast, but in int8 networks its optimiser moves the transposition back behind both. It leaves a
    convolution where it is: 0.1 ms.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, module: Deployable) -> None:
        super().__init__()
        self.network = module.network
        self.register_buffer("gain", module.gain[:, None, None, None].clone())
        self.register_buffer("shift", module.shift)

    def forward(self, images: Tensor) -> Tensor:
        planes = images.permute(0, 3, 1, 2).float()
        normalized = nn.functional.conv2d(planes, self.gain, self.shift, groups=3)
        logits: Tensor = self.network(normalized)
        return logits.softmax(dim=1)


def write(module: Deployable, folder: Path) -> Path:
    """Writes `module` in float32 as folder/model.onnx, for any number of prepared images; returns the path."""
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            _ByPlanes(module).eval(),
            (example_images(module, n=2),),
            dynamo=True,
            opset_version=_OPSET,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _pool_means(model)
    return _saved(_for_any_number(model), folder)


def _pool_means(model: onnx.ModelProto) -> None:
    """Writes means over height and width as GlobalAveragePool, which onnxruntime keeps in int8 and in its own layouts.

    ReduceMean is computed in float32 between two conversions: a seventh of what EfficientNet-B0 takes in int8.
    """
    import onnx
    from onnx import numpy_helper

    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "ReduceMean" or constants[node.input[1]].tolist() != [2, 3]:
            nodes.append(node)
            continue
        (keepdims,) = (attribute.i for attribute in node.attribute if attribute.name == "keepdims")
        maps, (mean,) = node.input[0], node.output
        pooled = mean if keepdims else f"{mean}/pooled"
        nodes.append(onnx.helper.make_node("GlobalAveragePool", [maps], [pooled], node.name))
        if not keepdims:
            nodes.append(onnx.helper.make_node("Flatten", [pooled], [mean], f"{node.name}/flatten", axis=1))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


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
        raise AssertionError("An operator of this network depends on the batch size; implement it differently.")
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
