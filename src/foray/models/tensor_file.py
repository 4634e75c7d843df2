"""Reading tensors from safetensors files and putting them into a network: all of them, or a clear error."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from foray.errors import WeightsError
from foray.regular_files import require_regular

_SHOWN = 5  # names listed in an error before "and n more"


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, on the CPU as stored, and its metadata.

    Raises WeightsError when the file is missing, truncated or of another format (nothing is ever unpickled).
    """
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError:
        raise WeightsError(f"There is no weights file at {path}.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({error}). Fetch or write it again.") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors or .pth file. The latter is read with `weights_only`: nothing in it is executed.

    A checkpoint that holds its weights under "state_dict" or "model" is looked into. Raises WeightsError.
    """
    if path.suffix == ".safetensors":
        return read_tensors(path)[0]
    try:
        require_regular(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever reading, unzipping and refusing to unpickle raise: no file of weights
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{path} cannot be read as a file of weights ({first_line}).") from error
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise WeightsError(f"{path} does not hold named tensors.")
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


@torch.no_grad()
def copy_strictly(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    names: Mapping[str, str],
    *,
    optional: Collection[str] = (),
    source: str,
) -> None:
    """Copies `tensors` into `network`, converting every floating-point width to the network's.

    `names`: key of the network -> name in `tensors`; keys of the network that are not in it are left as they are.
    Every name must be there, but for those in `optional`; every tensor must be used and have the network's shape.
    Raises WeightsError listing what is missing, left over or of another shape; the network is untouched then.
    """
    state = network.state_dict()
    missing = sorted(name for name in names.values() if name not in tensors and name not in optional)
    left_over = sorted(tensors.keys() - set(names.values()))
    present = {key: tensors[name] for key, name in names.items() if name in tensors}
    misfits = [
        f"{names[key]} is {_describe(tensor)}, the network's {_describe(state[key])}"
        for key, tensor in present.items()
        if tensor.shape != state[key].shape or tensor.is_floating_point() != state[key].is_floating_point()
    ]
    problems = [
        f"{label}: {_listing(found)}"
        for label, found in (("missing", missing), ("left over", left_over), ("of another kind", misfits))
        if found
    ]
    if problems:
        raise WeightsError(f"The weights of {source} do not fit the network. {'. '.join(problems).capitalize()}.")
    for key, tensor in present.items():
        state[key].copy_(tensor)


def _describe(tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" {str(tensor.dtype).removeprefix('torch.')}"
    return "x".join(str(size) for size in tensor.shape) + kind if tensor.ndim else f"a single number{kind}"


def _listing(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
