"""Checkpoints of other projects' training scripts: which of their networks is taken, and what is refused."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from foray.errors import WeightsError
from foray.models import build_model
from foray.specs import get_spec
from foray.weights import create_model, find_weights, load_weights
from foray.weights.key_map import timm_keys
from tests.notes import Notes

NAME = "mobilenet_v1_x0.25"
ARGUMENTS = argparse.Namespace(
    model="mobilenetv1_025", lr=0.1, layers=[1, 2]
)  # as timm's and torchvision's scripts save


def state_of(seed: int) -> dict[str, Tensor]:
    """Random weights under timm's names."""
    network = build_model(get_spec(NAME), num_classes=3, seed=seed)
    keys = timm_keys(network.spec)
    return {keys[key]: tensor.clone() for key, tensor in network.state_dict().items()}


RAW, AVERAGED = state_of(1), state_of(2)


def loaded(path: Path) -> dict[str, Tensor]:
    """What foray puts into the network, under timm's names."""
    network = create_model(NAME, num_classes=3, weights=path)
    return {timm_keys(network.spec)[key]: tensor for key, tensor in network.state_dict().items()}


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


@pytest.mark.parametrize(
    ("checkpoint", "taken"),
    [
        ({"state_dict": RAW, "state_dict_ema": AVERAGED, "epoch": 3, "arch": "x", "args": ARGUMENTS}, "state_dict_ema"),
        ({"state_dict_ema": AVERAGED, "state_dict": RAW}, "state_dict_ema"),
        ({"model": RAW, "ema": AVERAGED}, "ema"),
        ({"model": RAW, "ema_state_dict": AVERAGED}, "ema_state_dict"),
        ({"model": RAW, "model_ema": {"state_dict": AVERAGED}}, "model_ema"),
        ({"model": RAW, "model_ema": AVERAGED, "optimizer": {"state": {}}, "args": ARGUMENTS}, "model_ema"),
    ],
)
def test_averaged_weights_are_taken_and_the_record_says_so(tmp_path: Path, checkpoint: dict, taken: str) -> None:
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(checkpoint, path)
    assert_same(loaded(path), AVERAGED)
    progress = Notes()
    found = find_weights(path, NAME, progress=progress)
    info = load_weights(build_model(found.spec, num_classes=3), found)
    raw = "state_dict" if taken == "state_dict_ema" else "model"
    assert f"checkpoint.pth.tar holds {taken} and {raw}: foray takes {taken}." in info.notes
    assert progress.said == info.notes


@pytest.mark.parametrize(
    "checkpoint",
    [RAW, {"state_dict": RAW}, {"model": RAW}, {"state_dict": RAW, "state_dict_ema": None}, {"model": RAW, "epoch": 1}],
)
def test_a_checkpoint_of_one_network_gives_that_one(tmp_path: Path, checkpoint: dict) -> None:
    torch.save(checkpoint, tmp_path / "checkpoint.pth")
    assert_same(loaded(tmp_path / "checkpoint.pth"), RAW)
    assert not [note for note in find_weights(tmp_path / "checkpoint.pth", NAME).notes if "takes" in note]


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module.", "model.module._orig_mod."]
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_prefixes_of_what_a_network_was_wrapped_in_are_stripped(tmp_path: Path, prefix: str, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    wrapped = {f"{prefix}{name}": tensor for name, tensor in RAW.items()}
    if suffix == ".pth":
        torch.save({"state_dict": wrapped}, path)
    else:
        save_file(wrapped, path)
    assert_same(loaded(path), RAW)


def test_the_average_of_torchvisions_script_is_read(tmp_path: Path) -> None:
    """`model_ema.state_dict()` of an AveragedModel: prefixed names and a counter."""
    network = build_model(get_spec(NAME), num_classes=3, seed=1)
    average = AveragedModel(network, avg_fn=get_ema_avg_fn(0.5), use_buffers=True)
    average.update_parameters(build_model(get_spec(NAME), num_classes=3, seed=2))
    average.update_parameters(network)
    keys = timm_keys(network.spec)
    stored = {  # under timm's names, as a network of theirs has them
        f"module.{keys[name.removeprefix('module.')]}" if name != "n_averaged" else name: tensor
        for name, tensor in average.state_dict().items()
    }
    assert "n_averaged" in stored
    torch.save({"model": RAW, "model_ema": stored, "args": ARGUMENTS}, tmp_path / "model_9.pth")
    assert_same(loaded(tmp_path / "model_9.pth"), {keys[n]: t for n, t in average.module.state_dict().items()})


def test_two_networks_under_one_name_are_refused(tmp_path: Path) -> None:
    torch.save(RAW | {f"module.{name}": tensor for name, tensor in AVERAGED.items()}, tmp_path / "both.pth")
    with pytest.raises(WeightsError, match=r"conv_stem\.weight twice, the second time as module\.conv_stem\.weight"):
        find_weights(tmp_path / "both.pth", NAME)


def test_a_checkpoint_of_other_names_says_what_it_holds_and_what_is_read(tmp_path: Path) -> None:
    torch.save({"net": RAW, "epoch": 3}, tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match=r"but net, epoch\. Of a checkpoint, foray reads state_dict_ema, model_ema"):
        find_weights(tmp_path / "mine.pth", NAME)


class Trace:
    """Leaves a trace when it is unpickled."""

    ran = False

    def __setstate__(self, state: object) -> None:
        Trace.ran = True


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        (Trace(), "Trace"),
        (build_model(get_spec(NAME), num_classes=3), "Network"),
        (np.float64(0.5), "scalar"),
        (argparse.Namespace(output=Path("out")), "pathlib"),
    ],
)
def test_other_objects_are_named_with_a_way_out_and_never_built(
    tmp_path: Path, extra: object, kind: str, legacy: bool
) -> None:
    extra.__dict__.update(state=1) if isinstance(extra, Trace) else None
    torch.save({"state_dict": RAW, "extra": extra}, tmp_path / "last.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError) as caught:
        find_weights(tmp_path / "last.pth", NAME)
    message = str(caught.value)
    assert "holds more than tensors and plain values" in message
    assert legacy or kind in message
    assert "torch.save(model.state_dict(), 'weights.pth')" in message
    assert "weights_only" not in message
    assert not Trace.ran


def test_the_classes_that_torch_may_load_are_as_before(tmp_path: Path) -> None:
    torch.save({"state_dict": RAW, "args": ARGUMENTS}, tmp_path / "last.pth")
    before = set(torch.serialization.get_safe_globals())
    find_weights(tmp_path / "last.pth", NAME)
    assert set(torch.serialization.get_safe_globals()) == before
    with torch.serialization.safe_globals([argparse.Namespace]):
        find_weights(tmp_path / "last.pth", NAME)
        assert argparse.Namespace in torch.serialization.get_safe_globals()


def by_folder(folder: Path, tensors: dict[str, Tensor]) -> Path:
    path = folder / "w" / "model.safetensors"
    save_file(load_file(path) | tensors, path)
    return folder / "w"


def by_file(folder: Path, tensors: dict[str, Tensor]) -> Path:
    return by_folder(folder, tensors) / "model.safetensors"


def by_pth(folder: Path, tensors: dict[str, Tensor]) -> Path:
    path = folder / "weights.pth"
    torch.save(load_file(folder / "w" / "model.safetensors") | tensors, path)
    return path


@pytest.mark.parametrize("store", [by_folder, by_file, by_pth])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["conv_stem.weight", "bn1.running_var"])
def test_weights_that_are_no_numbers_are_named(
    tmp_path: Path, write_weights, store: Callable[[Path, dict[str, Tensor]], Path], value: float, name: str
) -> None:
    write_weights(tmp_path / "w")
    damaged = load_file(tmp_path / "w" / "model.safetensors")[name].clone()
    damaged.view(-1)[-1] = value
    path = store(tmp_path, {name: damaged})
    with pytest.raises(WeightsError, match=rf"hold values that are NaN or infinite, in {name}\. The file is damaged"):
        create_model(f"tf_{NAME}", num_classes=6, weights=path)


def test_a_number_too_large_for_float32_is_infinite(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "w")
    weight = load_file(tmp_path / "w" / "model.safetensors")["conv_stem.weight"].double()
    weight.view(-1)[0] = 1e300
    with pytest.raises(WeightsError, match="NaN or infinite"):
        create_model(NAME, num_classes=6, weights=by_folder(tmp_path, {"conv_stem.weight": weight}))


def test_a_head_that_is_replaced_may_hold_anything(tmp_path: Path, write_weights) -> None:
    write_weights(tmp_path / "w")
    path = by_folder(tmp_path, {"classifier.bias": torch.full((6,), float("nan"))})
    assert create_model(NAME, num_classes=2, weights=path).classifier.bias.isfinite().all()
