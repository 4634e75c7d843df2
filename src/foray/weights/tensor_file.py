"""Weights in files: reading safetensors and .pth, copying into a network, and our own file of a trained network.

A tensor is copied where all of them fit, or nothing is and the error says which do not. Our own file is safetensors
with the architecture and class count in its header.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from foray.errors import WeightsError
from foray.models.build import Network
from foray.records.files import write_bytes
from foray.regular_files import require_regular

# The state dicts of a checkpoint, best first: averaged weights are those that training scripts report and publish.
# As timm's `load_state_dict` (timm 1.0, models/_helpers.py); torchvision's scripts write "model" and "model_ema".
STATE_DICTS = ("state_dict_ema", "model_ema", "ema_state_dict", "ema", "state_dict", "model")
_WRAPPER = re.compile(r"^(module|_orig_mod|model)\.")
_AVERAGE_COUNTER = "n_averaged"  # of torch.optim.swa_utils.AveragedModel, no weight
_ALLOWING = threading.Lock()  # the classes that torch.load may build are one list for the whole process
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


@dataclass(frozen=True)
class StoredWeights:
    """Named tensors of a file. `taken`: which of its state dicts they are, where it names them; `left`: the others."""

    tensors: dict[str, Tensor]
    taken: str | None = None
    left: tuple[str, ...] = ()


def read_weights(path: Path) -> StoredWeights:
    """The weights in a safetensors or .pth file. The latter is read with `weights_only`: nothing in it is executed.

    Of a checkpoint's state dicts the first of `STATE_DICTS` is taken. Names lose the prefixes of what the network was
    wrapped in: DistributedDataParallel and AveragedModel ("module."), torch.compile ("_orig_mod."), Lightning
    ("model."). Raises WeightsError.
    """
    if path.suffix == ".safetensors":
        return StoredWeights(_unwrapped(read_tensors(path)[0], path))
    found = _load(path)
    held = {key: _inner(found.get(key)) for key in STATE_DICTS} if isinstance(found, Mapping) else {}
    there = [key for key, state in held.items() if _is_state_dict(state)]
    state = held[there[0]] if there else found
    if not _is_state_dict(state):
        but = f" but {', '.join(map(str, found))}" if isinstance(found, Mapping) and found else ""
        raise WeightsError(
            f"{path} does not hold named tensors{but}. Of a checkpoint, foray reads {', '.join(STATE_DICTS)}."
        )
    return StoredWeights(_unwrapped(state, path), there[0] if there else None, tuple(there[1:]))


def _inner(found: Any) -> Any:
    """The state dict itself, where a checkpoint has it one level further down: {"model_ema": {"state_dict": ...}}."""
    if isinstance(found, Mapping):
        for key in ("state_dict", "model", "module"):
            if _is_state_dict(found.get(key)):
                return found[key]
    return found


def _is_state_dict(found: object) -> bool:
    return isinstance(found, Mapping) and len(found) > 0 and all(isinstance(one, Tensor) for one in found.values())


def _unwrapped(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        bare = str(name)
        while (shorter := re.sub(_WRAPPER, "", bare)) != bare:
            bare = shorter
        if bare in tensors:
            raise WeightsError(f"{path} holds {bare} twice, the second time as {name}. Save a single network.")
        if bare != _AVERAGE_COUNTER:
            tensors[bare] = tensor
    return tensors


def _load(path: Path) -> Any:
    """What torch.save wrote: tensors, plain Python values, and argparse.Namespace, which has no code that could run."""
    try:
        require_regular(path)
        with _namespace_allowed():
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever reading, unzipping and refusing to unpickle raise: no file of weights
        if kinds := _refused_kinds(path, error):
            raise WeightsError(
                f"{path} holds more than tensors and plain values ({kinds}). Reading those could run code from "
                "the file, so foray does not. Save only the weights, in the program that wrote the file: "
                "torch.save(model.state_dict(), 'weights.pth')."
            ) from error
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{path} cannot be read as a file of weights ({first_line}).") from error


@contextmanager
def _namespace_allowed() -> Iterator[None]:
    """The arguments that training scripts of timm and torchvision save beside the weights may be read."""
    with _ALLOWING:
        ours = [kind for kind in (argparse.Namespace,) if kind not in torch.serialization.get_safe_globals()]
        with torch.serialization.safe_globals(ours):  # type: ignore[arg-type]
            yield


def _refused_kinds(path: Path, error: Exception) -> str:
    """Names of the classes for which torch refused to read the file; empty where it failed for another reason."""
    if "weights_only" not in str(error):  # torch's advice is to read it without that
        return ""
    try:
        found = set(torch.serialization.get_unsafe_globals_in_checkpoint(path)) - {"argparse.Namespace"}
    except Exception:  # a file of an older torch, or TorchScript
        found = set()
    return ", ".join(sorted(found)) or "a whole network, or objects of Python"


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
    Every name must be there, but for those in `optional`; every tensor must be used, have the network's shape and be
    finite in the network's precision. Raises WeightsError listing what is missing, left over, of another shape, NaN or
    infinite; the network is untouched then.
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
    if broken := [names[key] for key, tensor in present.items() if not tensor.to(state[key].dtype).isfinite().all()]:
        raise WeightsError(
            f"The weights of {source} hold values that are NaN or infinite, in {_listing(broken)}. The file is "
            "damaged or from a diverged training: use another one."
        )
    for key, tensor in present.items():
        state[key].copy_(tensor)


def _describe(tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" {str(tensor.dtype).removeprefix('torch.')}"
    return "x".join(str(size) for size in tensor.shape) + kind if tensor.ndim else f"a single number{kind}"


def _listing(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def save_network(network: Network, path: Path) -> None:
    """Writes the state of `network` to `path`, atomically. Equal networks give equal bytes."""
    tensors = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
    write_bytes(path, _with_sorted_metadata(save(tensors, metadata=_identity(network))))


def load_network_weights(network: Network, path: Path) -> None:
    """Reads what `save_network` wrote into `network`.

    Raises WeightsError when the file is damaged, was not written by foray, or is of another architecture, class count
    or stem; the network is untouched then.
    """
    tensors, metadata = read_tensors(path)
    for item, ours in _identity(network).items():
        theirs = metadata.get(item)
        if theirs is None:
            raise WeightsError(f"{path} was not written by foray: its header names no {item}.")
        if theirs != ours:
            raise WeightsError(f"{path} is of {item} {theirs}, the network of {item} {ours}.")
    copy_strictly(network, tensors, {key: key for key in network.state_dict()}, source=str(path))


def _with_sorted_metadata(content: bytes) -> bytes:
    """A safetensors file whose metadata stands in order; the library writes it in an order drawn by chance.

    The format: 8 bytes for the length of the header, the header as JSON, padded with spaces, then the tensors.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    return content[:8] + text.ljust(length) + content[8 + length :]


def _identity(network: Network) -> dict[str, str]:
    """What shapes alone do not tell apart."""
    stem_stride = network.stem.conv.stride[0]
    return {
        "architecture": network.spec.name,
        "num_classes": str(network.num_classes),
        "stem_stride": str(stem_stride),
    }
