"""int8 for ExecuTorch: PT2E quantisation with the XNNPACK quantiser, lowered to XNNPACK."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from foray.export.graph import Deployable
from foray.export.quantization.settings import Settings
from foray.export.quantization.train_images import UInt8Images
from foray.export.quiet import quiet
from foray.records.files import write_bytes

_PASSES_ON = ("aten.relu", "aten.hardtanh", "aten.clamp")  # fused with what computes their input


def quantize_executorch(module: Deployable, images: UInt8Images, target: Path, settings: Settings) -> None:
    """Writes `module` with int8 weights and activations to `target` (.pte), for one image a call.

    `images`: uint8 (N, R, R, 3), fed one by one. Preprocessing and softmax, which are `module`'s own and not its
    network's, stay in float32.
    """
    example = (torch.from_numpy(images[:1]),)
    with quiet(), torch.no_grad():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        exported = torch.export.export(module, example).module()
        watched = prepare_pt2e(exported, quantizer(settings))
        for image in torch.from_numpy(images):
            watched(image[None])
        quantized = convert_pt2e(watched)
        program = to_edge_transform_and_lower(
            torch.export.export(quantized, example), partitioner=[XnnpackPartitioner()]
        ).to_executorch()
    write_bytes(target, program.buffer)


def quantizer(settings: Settings) -> Any:
    """The XNNPACK quantiser, told what `settings` say."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e import HistogramObserver, MinMaxObserver

    config = get_symmetric_quantization_config(is_per_channel=settings.weights == "channel")
    observer = {"full": MinMaxObserver, "clipped": HistogramObserver}[settings.ranges].with_args(eps=2**-12)
    config = _observed_by(config, observer)
    return XNNPACKQuantizer().set_global(config).set_filter_function(_is_quantized(settings.float_layers))


def _observed_by(config: Any, observer: Any) -> Any:
    """`config` with another observer of the activations."""
    from dataclasses import replace

    activation = replace(config.input_activation, observer_or_fake_quant_ctr=observer)
    return replace(config, input_activation=activation, output_activation=activation)


def _is_quantized(float_layers: Sequence[str]) -> Callable[[torch.fx.Node], bool]:
    """Which nodes are quantised: those of the network, but for the layers that stay in float32 and what computes their
    input, which would be rounded where it is written.
    """
    kept = {f"network.{name}" for name in float_layers}

    def accepts(node: torch.fx.Node) -> bool:
        if node.op == "get_attr":  # weights and biases, which belong to no module but are asked about with their layer
            return True
        module = _module_of(node)
        return bool(module) and module not in kept and not any(reads(user) for user in node.users)

    def reads(user: torch.fx.Node) -> bool:
        if str(user.target).startswith(_PASSES_ON):
            return any(reads(after) for after in user.users)
        return _module_of(user) in kept

    return accepts


def _module_of(node: torch.fx.Node) -> str:
    """Name of the innermost module that computes `node`; empty for the outermost."""
    stack = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    return stack[-1] if stack else ""
