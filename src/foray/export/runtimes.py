"""What each runtime can do, and what has to be installed for it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from foray.errors import ForayError, UnknownNameError
from foray.export.graph import Deployable
from foray.records import ArtifactPrecision, Runtime
from foray.specs import Preprocessing

PRECISIONS: tuple[ArtifactPrecision, ...] = get_args(ArtifactPrecision)
FloatPrecision = Literal["fp32", "fp16", "bf16"]


@dataclass(frozen=True)
class RuntimeSupport:
    """`packages`: the distributions whose versions decide what is written, by module. `resizes`: the model takes
    images of any size and any number; else it takes one prepared image.
    """

    name: Runtime
    entry: str
    packages: dict[str, str]
    precisions: tuple[ArtifactPrecision, ...]
    resizes: bool

    def require_installed(self) -> None:
        """Raises ForayError naming the extra when a package is missing."""
        missing = [name for module, name in self.packages.items() if importlib.util.find_spec(module) is None]
        if missing:
            raise ForayError(
                f"Exporting to {self.name} needs {' and '.join(missing)}, not installed here. "
                f"Run in the checkout of foray: pip install -c constraints.txt -e '.[{self.name}]'"
            )


RUNTIMES: dict[Runtime, RuntimeSupport] = {
    support.name: support
    for support in (
        RuntimeSupport(
            "onnx",
            "model.onnx",
            {"onnx": "onnx", "onnxscript": "onnxscript", "onnxruntime": "onnxruntime"},
            ("fp32", "fp16", "int8"),
            resizes=True,
        ),
        RuntimeSupport(
            "openvino",
            "model.xml",
            {"openvino": "openvino", "nncf": "nncf"},
            ("fp32", "fp16", "bf16", "int8"),
            resizes=True,
        ),
        RuntimeSupport(
            "litert",
            "model.tflite",
            {
                "litert_torch": "litert-torch",
                "ai_edge_litert": "ai-edge-litert",
                "ai_edge_quantizer": "ai-edge-quantizer",
            },
            ("fp32", "fp16", "int8"),
            resizes=False,
        ),
        RuntimeSupport(
            "executorch",
            "model.pte",
            {"executorch": "executorch", "torchao": "torchao"},
            ("fp32", "fp16", "int8"),
            resizes=False,
        ),
    )
}


def plan_exports(runtimes: Sequence[str], precisions: Sequence[str]) -> list[tuple[RuntimeSupport, ArtifactPrecision]]:
    """Every combination, in the order given and each once.

    Raises UnknownNameError, and ForayError for what a runtime cannot do and for one that is not installed: all of it
    before anything is written.
    """
    for kind, names, known in (("runtime", runtimes, tuple(RUNTIMES)), ("precision", precisions, PRECISIONS)):
        if not names:
            raise ForayError(f"Name at least one {kind}: {', '.join(known)}.")
        for name in names:
            if name not in known:
                raise UnknownNameError(kind, name, known, f"There are {', '.join(known)}.")
    plan = []
    for support in (RUNTIMES[cast(Runtime, name)] for name in dict.fromkeys(runtimes)):
        for precision in dict.fromkeys(precisions):
            if precision not in support.precisions:
                only = [name for name, other in RUNTIMES.items() if precision in other.precisions]
                raise ForayError(
                    f"{support.name} has no {precision}; it has {', '.join(support.precisions)}. "
                    f"{precision} is written for {' and '.join(only)} only."
                )
            plan.append((support, precision))
        support.require_installed()
    return plan


def float_writer(support: RuntimeSupport) -> Callable[[Deployable, Path], Path]:
    """What writes a module that takes prepared images in float32 and returns the entry file."""
    match support.name:
        case "onnx":
            from foray.export import onnx as runtime
        case "openvino":
            from foray.export import openvino as runtime  # type: ignore[no-redef]
        case "litert":
            from foray.export import litert as runtime  # type: ignore[no-redef]
        case "executorch":
            from foray.export import executorch as runtime  # type: ignore[no-redef]
    return runtime.write


def write_float(support: RuntimeSupport, precision: FloatPrecision, module: Deployable, folder: Path) -> Path:
    """Writes the network for `support` with prepared images as its input; returns the entry file.

    Raises ForayError when the runtime lacks an operator.
    """
    if support.name == "executorch" and precision == "fp16":
        from foray.export.executorch import in_float16

        module = in_float16(module)
    try:
        entry = float_writer(support)(module, folder)
    except Exception as error:  # each exporter has kinds of its own
        raise _not_exported(support, module, error) from error
    if precision == "fp16" and support.name == "onnx":
        from foray.export.onnx import halve_weights

        halve_weights(entry)
    if precision == "fp16" and support.name == "litert":
        from foray.export.litert import halve_weights

        halve_weights(entry)
    return entry


def add_resize(support: RuntimeSupport, precision: ArtifactPrecision, entry: Path, how: Preprocessing) -> None:
    """Puts resize and crop into the graph, where the runtime can."""
    if support.name == "onnx":
        from foray.export.onnx import add_prepare

        add_prepare(entry, how)
    if support.name == "openvino":
        from foray.export.openvino import finish

        finish(entry, how, precision)


def _not_exported(support: RuntimeSupport, module: Deployable, error: Exception) -> ForayError:
    """Exporters wrap what went wrong in advice of their own: the innermost cause says it."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    why = lines[0] if lines else type(cause).__name__
    return ForayError(
        f"{module.network.spec.name} cannot be written for {support.name} ({type(cause).__name__}: {why}). "
        f"Another runtime may support it: {', '.join(name for name in RUNTIMES if name != support.name)}."
    )
